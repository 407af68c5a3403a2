//! The engine: one question in, one answer out, over one snapshot of the catalogue.
//!
//! Memory is bounded by one pool for all questions; nothing is spilled to disk, because rows may
//! lie nowhere but in the lake. A panic in foreign code ends one question, not the process.

use std::path::Path;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use imprimatur_lake::{Catalogue, Lake};
use imprimatur_proto::record::RecordKind;
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::asked::questions;
use crate::error::QueryError;
use crate::files::Files;
use crate::gate::Threshold;
use crate::metric::{Metric, metrics};
use crate::plan::{Plan, STORE};
use crate::request::{Question, Request};
use crate::settle::{self, Groups};
use crate::sums;

/// How often a question starts again because the catalogue was swapped under it.
const TRIES: u32 = 3;

/// How the engine guards and bounds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Principals that each group needs in each epoch; default [`Threshold::INSIDE`].
    pub k: Threshold,
    /// Memory for all questions together, in bytes; default 256 MiB.
    pub memory_bytes: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { k: Threshold::INSIDE, memory_bytes: 256 << 20 }
    }
}

/// Answers questions about one lake. Cheap to clone; clones share the memory pool.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: EngineSettings,
    metrics: Arc<Vec<Metric>>,
    files: Files,
    runtime: Arc<RuntimeEnv>,
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
        Ok(Self { settings, metrics, files, runtime })
    }

    /// The registered metrics.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Answers one question from the catalogue that is published now.
    ///
    /// # Errors
    /// [`QueryError::BelowThreshold`] when the answer is no; otherwise what is wrong with the
    /// question, the catalogue, a file or the engine.
    pub async fn answer(&self, request: &Request) -> Result<Answer, QueryError> {
        let question = Arc::new(request.check(&self.metrics)?);
        let mut catalogue = Arc::new(self.catalogue().await?);
        for _ in 1..TRIES {
            let result = self.run(&question, &catalogue).await;
            if !matches!(result, Err(QueryError::File { .. } | QueryError::Engine(_))) {
                return result;
            }
            // A file may have been swept after a newer catalogue was published.
            let newer = self.catalogue().await?;
            if newer == *catalogue {
                return result;
            }
            catalogue = Arc::new(newer);
        }
        self.run(&question, &catalogue).await
    }

    async fn catalogue(&self) -> Result<Catalogue, QueryError> {
        let folder = self.files.lake().folder().to_owned();
        let loaded = tokio::task::spawn_blocking(move || Catalogue::load(&folder)).await;
        let loaded = loaded.map_err(|failed| QueryError::Engine(Box::new(failed)))?;
        loaded.map_err(QueryError::Catalogue)
    }

    /// Runs in a task of its own, which ends with the caller and keeps a panic to itself.
    async fn run(
        &self,
        question: &Arc<Question>,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Answer, QueryError> {
        let (engine, question, catalogue) =
            (self.clone(), Arc::clone(question), Arc::clone(catalogue));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let found = Box::pin(engine.find(&question, &catalogue)).await?;
            // Margins may take a second to look at, on a thread that may block.
            let k = engine.settings.k;
            let settle = move || settle::answer(&question, &catalogue, k, &found);
            let settled = tokio::task::spawn_blocking(settle).await;
            settled.map_err(|failed| QueryError::Engine(Box::new(failed)))?
        });
        match task.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(failed)) => Err(QueryError::Engine(Box::new(failed))),
            None => Err(QueryError::Engine("the task is gone".into())),
        }
    }

    async fn find(&self, question: &Question, catalogue: &Catalogue) -> Result<Groups, QueryError> {
        let metric = &question.metric;
        let files = self.files.of(catalogue, question, metric.table).await?;
        if files.is_empty() || catalogue.enrolled.is_empty() {
            return Ok(Groups::new());
        }
        let joins = question.dimensions.iter().any(|one| one.is_of_day());
        let days = if joins && metric.table == RecordKind::Print {
            self.files.of(catalogue, question, RecordKind::Day).await?
        } else {
            Vec::new()
        };
        let config = SessionConfig::new().with_collect_statistics(false);
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        let plan = Plan { context: &context, catalogue, question, files, days };
        let rows = Box::pin(bounded(&plan)).await.map_err(|error| self.failed(error))?;
        let sums = sums::sums(rows, question).map_err(|error| self.failed(error))?;
        let batches = Box::pin(sums.collect()).await.map_err(|error| self.failed(error))?;
        sums::groups(&batches, sums::coordinates(question).len())
            .ok_or_else(|| QueryError::Engine("the plan gave other columns".into()))
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

/// The rows of a plan, at most the metric's bound of each principal and epoch.
async fn bounded(plan: &Plan<'_>) -> datafusion::error::Result<DataFrame> {
    let rows = plan.rows()?;
    let heavy = plan.heavy(rows.clone())?.collect().await?;
    plan.bounded(rows, heavy)
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
