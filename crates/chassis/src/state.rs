//! What the requests of a process have in common.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use config::service::{Limits, Settings};

use crate::About;
use crate::access_log::{AccessLog, WorkerLog};
#[cfg(feature = "identity")]
use crate::identity::Verifier;
use crate::metrics::{Metrics, Tally};
#[cfg(feature = "otel")]
use crate::spans::{Counts, Spans};

/// Says whether this process can do its work.
pub(crate) type Ready = Box<dyn Fn() -> bool + Send + Sync>;

/// What the workers share.
pub(crate) struct State {
    pub(crate) about: About,
    pub(crate) image_digest: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) path_prefix: Option<String>,
    pub(crate) trusted_proxies: usize,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: AccessLog,
    /// The bytes of all bodies that are arriving or being answered.
    pub(crate) bodies: AtomicUsize,
    /// What knows who asks, if there is an issuer.
    #[cfg(feature = "identity")]
    pub(crate) verifier: Option<Arc<Verifier>>,
    #[cfg(feature = "otel")]
    pub(crate) spans: Option<Spans>,
    ready: Vec<Ready>,
    draining: AtomicBool,
}

/// What a worker has for itself.
pub(crate) struct Worker {
    pub(crate) log: WorkerLog,
    pub(crate) tally: Tally,
}

impl State {
    /// With what begins to fetch keys, if the settings name an issuer.
    ///
    /// # Errors
    /// What the operating system says where a thread cannot be started.
    pub(crate) fn new(about: About, settings: &Settings, ready: Vec<Ready>) -> io::Result<Self> {
        #[cfg(feature = "identity")]
        let verifier = settings.identity.as_ref().map(Verifier::start).transpose()?;
        #[cfg(feature = "identity")]
        let ready = {
            let knows_callers = verifier.clone().map(|verifier| -> Ready { Box::new(move || verifier.is_ready()) });
            ready.into_iter().chain(knows_callers).collect()
        };
        #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "only spans add to it"))]
        let mut metrics = Metrics::new(about, settings.image_digest.as_deref());
        #[cfg(feature = "otel")]
        let spans = settings.spans.as_ref().map(|settings| {
            let counts = Counts::default();
            metrics.count_spans(&counts);
            Spans::start(about, settings, &counts)
        });
        Ok(Self {
            about,
            image_digest: settings.image_digest.clone(),
            limits: settings.limits.clone(),
            path_prefix: settings.path_prefix.clone(),
            trusted_proxies: settings.trusted_proxies,
            metrics: Arc::new(metrics),
            log: AccessLog::new(settings.log_format, settings.log_level),
            bodies: AtomicUsize::new(0),
            #[cfg(feature = "identity")]
            verifier,
            #[cfg(feature = "otel")]
            spans: spans.transpose()?,
            ready,
            draining: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.iter().all(|ready| ready())
    }
}
