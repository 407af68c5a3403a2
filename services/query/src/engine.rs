//! The engine: one question in, one answer out, over one snapshot of the catalogue.
//!
//! Memory is bounded by one pool for all questions; nothing is spilled to disk, because rows may
//! lie nowhere but in the lake. A panic in foreign code ends one question, not the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{SessionConfig, SessionContext};
use imprimatur_lake::Lake;
use imprimatur_proto::record::RecordKind;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::asked::questions;
use crate::edition::Editions;
use crate::error::QueryError;
use crate::files::Files;
use crate::fold::{self, Fold};
use crate::gate::Threshold;
use crate::metric::{Metric, metrics};
use crate::people::Crowd;
use crate::plan::STORE;
use crate::request::{Question, Request};
use crate::scan::Scan;
use crate::settle::{self, Groups};
use crate::state::{State, States};

/// How often a question starts again because the catalogue was swapped under it.
const TRIES: u32 = 3;

/// How the engine guards and bounds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Principals that each group needs in each epoch; default [`Threshold::INSIDE`].
    pub k: Threshold,
    /// Memory for all questions together, in bytes; default 1 GiB.
    pub memory_bytes: usize,
    /// Answers that are kept while what they were made of stays the same; default 1,000.
    pub answers_kept: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { k: Threshold::INSIDE, memory_bytes: 1 << 30, answers_kept: 1000 }
    }
}

/// Answers questions about one lake. Cheap to clone; clones share the memory pool.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: EngineSettings,
    metrics: Arc<Vec<Metric>>,
    files: Files,
    runtime: Arc<RuntimeEnv>,
    editions: Option<Editions>,
    states: States,
}

impl Engine {
    /// Opens a lake's folder. Needs no catalogue yet.
    ///
    /// # Errors
    /// [`QueryError::Metrics`] when the registered metrics do not fit the contract;
    /// [`QueryError::Engine`] when the folder cannot be opened.
    pub fn open(folder: &Path, settings: EngineSettings) -> Result<Self, QueryError> {
        let lake = Lake::open(folder).map_err(|error| QueryError::Engine(Box::new(error)))?;
        let runtime = runtime(&lake, settings).map_err(|error| QueryError::Engine(error.into()))?;
        let (metrics, files) = (Arc::new(metrics()?), Files::new(lake));
        questions(&metrics)?;
        let states = States::default();
        Ok(Self { settings, metrics, files, runtime, editions: None, states })
    }

    /// Answers from editions that are kept in a folder; without them each answer is about all that
    /// is published when it is asked for.
    ///
    /// # Errors
    /// [`QueryError::Edition`] when the folder cannot be made.
    pub fn with_editions(self, folder: &Path, length: Duration) -> Result<Self, QueryError> {
        Ok(Self { editions: Some(Editions::open(folder, length)?), ..self })
    }

    /// The registered metrics.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Answers one question from what is published, or was when the edition began.
    ///
    /// # Errors
    /// [`QueryError::BelowThreshold`] when the answer is no; otherwise what is wrong with the
    /// question, the catalogue, a file or the engine.
    pub async fn answer(&self, request: &Request) -> Result<Answer, QueryError> {
        let question = Arc::new(request.check(&self.metrics)?);
        let command = request.command();
        let mut state = Arc::new(self.state().await?);
        if let Some(answer) = self.states.answer(&state, &command).filter(|_| !state.is_new) {
            return Ok(answer);
        }
        for _ in 1..TRIES {
            let failed = match self.run(&question, &state).await {
                Ok(answer) if self.is_kept(&state).await? => {
                    self.states.keep(&state, command, &answer, self.settings.answers_kept);
                    return Ok(answer);
                }
                // Another process has begun the edition, whose rows are those that count; or somebody has
                // more rows than was known.
                Ok(_) | Err(QueryError::Moved) => None,
                // A file may have been swept after a newer catalogue was published.
                Err(error @ (QueryError::File { .. } | QueryError::Engine(_))) => Some(error),
                Err(error) => return Err(error),
            };
            let newer = self.state().await?;
            match failed {
                Some(error) if newer == *state => return Err(error),
                _ => state = Arc::new(newer),
            }
        }
        let answer = self.run(&question, &state).await?;
        if self.is_kept(&state).await? { Ok(answer) } else { Err(QueryError::Moved) }
    }

    async fn state(&self) -> Result<State, QueryError> {
        let (lake, editions) = (self.files.lake().folder().to_owned(), self.editions.clone());
        let states = self.states.clone();
        blocking(move || states.now(&lake, editions.as_ref())).await
    }

    /// Begins the edition with its first answer; `false` when another one was begun meanwhile.
    async fn is_kept(&self, state: &State) -> Result<bool, QueryError> {
        let Some(editions) = self.editions.clone().filter(|_| state.is_new) else {
            return Ok(true);
        };
        let new = state.edition;
        blocking(move || Ok(editions.begin(new)? == new)).await
    }

    /// Runs in a task of its own, which ends with the caller and keeps a panic to itself.
    async fn run(
        &self,
        question: &Arc<Question>,
        state: &Arc<State>,
    ) -> Result<Answer, QueryError> {
        let (engine, question, state) = (self.clone(), Arc::clone(question), Arc::clone(state));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let found = Box::pin(engine.find(&question, &state)).await?;
            // Margins may take a second to look at, on a thread that may block.
            let k = engine.settings.k;
            blocking(move || settle::answer(&question, &state.catalogue, k, &found)).await
        });
        match task.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(failed)) => Err(QueryError::Engine(Box::new(failed))),
            None => Err(QueryError::Engine("the task is gone".into())),
        }
    }

    /// The groups of a question as they were counted, with the state that they are of: for releases, whose
    /// noise protects instead of the gate. Begins the edition as an answer does.
    pub(crate) async fn groups(
        &self,
        question: Question,
    ) -> Result<(Groups, Arc<State>), QueryError> {
        let (question, mut failed) = (Arc::new(question), QueryError::Moved);
        for _ in 0..TRIES {
            let state = Arc::new(self.state().await?);
            let (engine, asked, of) = (self.clone(), Arc::clone(&question), Arc::clone(&state));
            let mut task = JoinSet::new();
            task.spawn(async move { Box::pin(engine.find(&asked, &of)).await });
            let found = match task.join_next().await {
                Some(Ok(found)) => found,
                Some(Err(failed)) => return Err(QueryError::Engine(Box::new(failed))),
                None => return Err(QueryError::Engine("the task is gone".into())),
            };
            match found {
                Ok(groups) if self.is_kept(&state).await? => return Ok((groups, state)),
                // As in an answer.
                Ok(_) | Err(QueryError::Moved) => failed = QueryError::Moved,
                Err(error @ (QueryError::File { .. } | QueryError::Engine(_))) => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    /// The exact sums of a question, margins included.
    async fn find(&self, question: &Question, state: &State) -> Result<Groups, QueryError> {
        let (metric, catalogue) = (&question.metric, &state.catalogue);
        let files = self.files.of(catalogue, question, metric.table).await?;
        if files.is_empty() || catalogue.enrolled.is_empty() {
            return Ok(Groups::new());
        }
        let days = if fold::joined(question).is_empty() {
            Vec::new()
        } else {
            self.files.of(catalogue, question, RecordKind::Day).await?
        };
        let scan = Scan {
            context: SessionContext::new_with_config_rt(config(), Arc::clone(&self.runtime)),
            cut: state.edition.cut(),
            runtime: Arc::clone(&self.runtime),
        };
        let crowd = Box::pin(self.crowd(&scan, metric, state)).await?;
        let fold = Fold::new(question, catalogue);
        let who = (fold, Arc::clone(&state.enrolled), crowd);
        let sums = Box::pin(scan.sums(question, who, files, days)).await;
        let Some(sums) = sums.map_err(|error| self.failed(error))? else {
            self.states.forget_crowds();
            return Err(QueryError::Moved);
        };
        Ok(sums.groups())
    }

    /// Principals who may have more rows than a metric's bound; looked for once in an edition.
    async fn crowd(
        &self,
        scan: &Scan,
        metric: &Metric,
        state: &State,
    ) -> Result<Arc<Crowd>, QueryError> {
        if let Some(crowd) = self.states.crowd(metric.table, state.edition) {
            return Ok(crowd);
        }
        let files = state.catalogue.files.iter().filter(|file| file.table == metric.table);
        let bounds = self.metrics.iter().filter(|one| one.table == metric.table);
        // A release may let fewer rows count than any metric.
        let bounds = bounds.chain([metric]).map(|one| one.rows_per_principal_and_epoch.get());
        let bound = bounds.min().unwrap_or(0);
        let crowd = Box::pin(scan.crowd(metric.table, files.cloned().collect(), bound)).await;
        let crowd = Arc::new(crowd.map_err(|error| self.failed(error))?);
        self.states.keep_crowd(metric.table, state.edition, Arc::clone(&crowd));
        Ok(crowd)
    }

    fn failed(&self, error: DataFusionError) -> QueryError {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                QueryError::TooLarge { memory_bytes: self.settings.memory_bytes }
            }
            _ => QueryError::Engine(Box::new(error)),
        }
    }
}

/// Runs what blocks; a panic in it ends one question.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|failed| QueryError::Engine(Box::new(failed)))?
}

fn config() -> SessionConfig {
    SessionConfig::new().with_collect_statistics(false)
}

fn runtime(lake: &Lake, settings: EngineSettings) -> datafusion::error::Result<Arc<RuntimeEnv>> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(settings.memory_bytes)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()?;
    let store = LocalFileSystem::new_with_prefix(lake.folder())?;
    let url = ObjectStoreUrl::parse(STORE)?;
    runtime.register_object_store(url.as_ref(), Arc::new(store));
    Ok(runtime)
}
