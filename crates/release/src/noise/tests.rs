//! The noise against its exact distribution, and with too little of it.

use super::*;

/// A chi-square beyond this is rarer than one in a thousand million (Laurent and Massart 2000).
fn rare(degrees: f64) -> f64 {
    let x = 1e9_f64.ln();
    degrees + 2.0 * (degrees * x).sqrt() + 2.0 * x
}

fn fraction(over: u32, under: u32) -> RBig {
    RBig::from(over) / RBig::from(under)
}

/// Noise of a scale, with epsilon 1/7.
fn of_scale(over: u32, under: u32) -> Laplace {
    let noise = Laplace::new(u128::from(over), fraction(1, 7));
    noise.scaled(&fraction(1, 7 * under))
}

/// The probability of `z`.
fn mass(scale: f64, z: i32) -> f64 {
    let x = (-1.0 / scale).exp();
    (1.0 - x) / (1.0 + x) * x.powi(z.abs())
}

/// The chi-square of draws against a scale, over `-edge..=edge` and the two tails.
fn chi_square(draws: &[IBig], scale: f64, edge: i32) -> f64 {
    let count = |within: &dyn Fn(&IBig) -> bool| draws.iter().filter(|z| within(z)).count();
    let n = f64::from(u32::try_from(draws.len()).unwrap());
    let part = |found: usize, share: f64| {
        let found = f64::from(u32::try_from(found).unwrap());
        (found - n * share).powi(2) / (n * share)
    };
    let middle = (-edge..=edge).map(|z| part(count(&|draw| *draw == z.into()), mass(scale, z)));
    let inner: f64 = (-edge..=edge).map(|z| mass(scale, z)).sum();
    let tail = (1.0 - inner) / 2.0;
    let tails = [count(&|draw| *draw > edge.into()), count(&|draw| *draw < (-edge).into())];
    middle.chain(tails.map(|found| part(found, tail))).sum()
}

#[test]
fn draws_have_the_exact_distribution_and_that_of_no_other_scale() {
    for (over, under, edge) in [(1, 2, 3), (3, 1, 10), (37, 3, 30)] {
        let scale = f64::from(over) / f64::from(under);
        let noise = of_scale(over, under);
        let draws = noise.mechanism(40_000).unwrap().invoke(&vec![IBig::ZERO; 40_000]).unwrap();
        let limit = rare(f64::from(2 * edge + 2));
        let found = chi_square(&draws, scale, edge);
        assert!(found < limit, "scale {over}/{under}: chi-square {found}");
        for wrong in [scale * 1.15, scale / 1.15] {
            assert!(chi_square(&draws, wrong, edge) > limit, "cannot tell {scale} from {wrong}");
        }
    }
}

#[test]
fn noise_is_added_to_each_number_by_itself() {
    let noise = Laplace::new(1, fraction(1, 1));
    let told = noise.add(&[1_000_000.into(), (-5_000).into(), 0.into()]).unwrap();
    for (told, exact) in told.iter().zip([1_000_000, -5_000, 0]) {
        assert!((told - IBig::from(exact)) < 100.into() && (IBig::from(exact) - told) < 100.into());
    }
    let many = noise.add(&vec![IBig::ZERO; 200]).unwrap();
    assert!(many.iter().any(|one| *one != many[0]), "one draw for all");
}

#[test]
fn too_little_noise_is_refused_by_the_library() {
    let enough = Laplace::new(300, fraction(1, 30));
    assert!(enough.add(&[IBig::ZERO]).is_ok());
    for by in [fraction(1, 2), fraction(999_999, 1_000_000)] {
        let refused = enough.clone().scaled(&by).add(&[IBig::ZERO]);
        assert!(matches!(refused, Err(NoiseError::TooLittle { .. })), "{refused:?}");
    }
    assert!(enough.scaled(&fraction(2, 1)).add(&[IBig::ZERO]).is_ok());
}

#[test]
fn distances_are_the_smallest_that_hold() {
    for (over, under) in [(1, 4), (1, 1), (3, 1), (21, 2), (200, 1)] {
        let scale = f64::from(over) / f64::from(under);
        for share in [0.05, 0.025, 2e-6] {
            let found = of_scale(over, under).beyond(share);
            let m: i32 = i32::try_from(found).unwrap();
            let outside = |m: i32| 1.0 - (-m..=m).map(|z| mass(scale, z)).sum::<f64>();
            assert!(outside(m) <= share * (1.0 + 1e-6), "scale {scale}, {share}: {m} is too near");
            assert!(m == 0 || outside(m - 1) > share, "scale {scale}, {share}: {m} is too far");
        }
        let excess = i32::try_from(of_scale(over, under).excess(0.025)).unwrap();
        let rest = |from: i32| (from..from + 9_000).map(|z| mass(scale, z)).sum::<f64>();
        assert!(rest(1 + excess) / rest(1) <= 0.025 && rest(excess) / rest(1) > 0.025);
    }
}

#[test]
fn values_in_millionths_of_a_large_fleet_are_no_trouble() {
    let noise = Laplace::new(300 * 62 * 5_000_000_000, fraction(1, 3_000));
    let told = noise.add(&vec![IBig::from(u128::MAX); 2]).unwrap();
    assert_ne!(told[0], told[1]);
    let scale = noise.scale().to_f64().value();
    let ratio = noise.beyond(0.05).to_f64().value() / scale;
    assert!((ratio - 20_f64.ln()).abs() < 1e-6, "{ratio}");
}
