//! Policies: each rule and its opposite.
