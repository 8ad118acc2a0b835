//! How resources are declared, so that they answer `HEAD`, name their methods and are counted under their pattern.

use std::cell::Cell;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Handler, HttpResponse, Responder, guard, web};

/// What sets up each worker's resources: a function, or a closure that brings along what the workers share.
pub trait Routes: Fn(&mut ServiceConfig) + Clone + Send + 'static {}

impl<T: Fn(&mut ServiceConfig) + Clone + Send + 'static> Routes for T {}

/// A resource whose requests are counted under its pattern, such as `/api/notes/{id}`; see [`Resource`].
pub fn resource(pattern: &'static str) -> Resource {
    Resource { pattern, inner: web::resource(pattern).app_data(Route(pattern)), methods: Vec::new() }
}

/// A resource that is read with `GET`: short for `resource(pattern).get(handler)`.
pub fn readable<F, Args>(pattern: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(pattern).get(handler)
}

/// A resource with a handler for each of its methods, to be passed to [`ServiceConfig::service`].
///
/// A resource that has `GET` answers `HEAD` with the same headers and no body (RFC 9110, section 9.3.2). `OPTIONS` is
/// answered with 204 and any other method with 405, both with `Allow`.
///
/// ```
/// use actix_web::web::ServiceConfig;
/// use chassis::resource;
///
/// fn routes(config: &mut ServiceConfig) {
///     config.service(resource("/api/notes").get(async || "all of them").post(async || "one more"));
/// }
/// ```
pub struct Resource {
    pattern: &'static str,
    inner: actix_web::Resource,
    /// In the order in which `Allow` names them.
    methods: Vec<&'static str>,
}

macro_rules! methods {
    ($($(#[$doc:meta])+ $name:ident: $($method:ident),+;)+) => {
        impl Resource {
            $(
                $(#[$doc])+
                #[must_use]
                pub fn $name<F, Args>(self, handler: F) -> Self
                where
                    F: Handler<Args>,
                    Args: FromRequest + 'static,
                    F::Output: Responder + 'static,
                {
                    self.method(&[$(stringify!($method)),+], |method| matches!(*method, $(Method::$method)|+), handler)
                }
            )+
        }
    };
}

methods! {
    /// Reads with `GET`, and with `HEAD`.
    get: GET, HEAD;
    /// Adds or processes with `POST`.
    post: POST;
    /// Replaces with `PUT`.
    put: PUT;
    /// Changes with `PATCH`.
    patch: PATCH;
    /// Removes with `DELETE`.
    delete: DELETE;
}

impl Resource {
    /// Adds what the handlers of this resource can extract; see [`actix_web::Resource::app_data`].
    #[must_use]
    pub fn app_data<T: 'static>(self, data: T) -> Self {
        Self { inner: self.inner.app_data(data), ..self }
    }

    fn method<F, Args>(mut self, names: &[&'static str], matches: fn(&Method) -> bool, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.extend_from_slice(names);
        // A guard that is a function: actix notes what its own guards ask for with every request, to list it for those
        // that it refuses.
        let pattern = self.pattern;
        let guard = guard::fn_guard(move |context| {
            let found = matches(&context.head().method);
            if found {
                FOUND.set(Some(pattern));
            }
            found
        });
        Self { inner: self.inner.route(web::route().guard(guard).to(handler)), ..self }
    }
}

impl HttpServiceFactory for Resource {
    fn register(self, config: &mut AppService) {
        #[cfg(feature = "testing")]
        declared::note(self.pattern, &self.methods);
        let methods = self.methods.join(", ");
        let others = move || {
            let refused = HttpResponse::MethodNotAllowed().insert_header((ALLOW, methods.as_str())).finish();
            async move { refused }
        };
        self.inner.default_service(web::to(others)).register(config);
    }
}

thread_local! {
    /// The pattern of the resource that was found last on this thread.
    static FOUND: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The pattern of the resource that was found since this was last asked for.
///
/// Whoever gives up a request has handed it over, with all that is known of it. Finding a resource takes no turn of the
/// event loop, so what was found last in a turn was found for the request of that turn.
pub(crate) fn found() -> Option<&'static str> {
    FOUND.take()
}

/// The pattern of the resource that a request was for.
#[derive(Clone, Copy)]
pub(crate) struct Route(pub(crate) &'static str);

/// Which resources are declared, for tests that compare them with the description.
#[cfg(feature = "testing")]
pub(crate) mod declared {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use actix_web::{App, test};

    use super::Routes;

    thread_local! {
        static DECLARED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(pattern: &str, methods: &[&str]) {
        // HEAD comes with GET, and is described with it.
        let operations = methods.iter().filter(|method| **method != "HEAD").map(|method| format!("{method} {pattern}"));
        DECLARED.with_borrow_mut(|declared| declared.extend(operations));
    }

    /// Declares them as a worker does, and says what was declared: `GET /api/notes`.
    pub(crate) async fn by(routes: impl Routes) -> BTreeSet<String> {
        DECLARED.take();
        test::init_service(App::new().configure(routes)).await;
        DECLARED.take()
    }
}
