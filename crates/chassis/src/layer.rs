//! A layer around all routes, as one function.
//!
//! actix-web's `from_fn` puts what lies inside a layer behind a second allocation and a dynamic call for every request,
//! and has it look up what it works with; that is as much as the layers themselves take.

use std::future::{Future, Ready, ready};
use std::rc::Rc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, body::BoxBody};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

/// What lies inside a layer.
pub(crate) trait Inner:
    Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static
{
}

impl<T: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static> Inner for T {}

/// What happens with a request on its way in, and with its answer on the way out.
pub(crate) trait Layer: Clone + 'static {
    fn pass(
        self,
        request: ServiceRequest,
        inner: Rc<impl Inner>,
    ) -> impl Future<Output = Result<ServiceResponse, Error>>;
}

/// Makes a layer what `App::wrap` takes.
pub(crate) struct Around<L>(pub(crate) L);

impl<L: Layer, S: Inner> Transform<S, ServiceRequest> for Around<L> {
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = Wrapped<L, S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Wrapped { layer: self.0.clone(), inner: Rc::new(service) }))
    }
}

pub(crate) struct Wrapped<L, S> {
    layer: L,
    inner: Rc<S>,
}

impl<L: Layer, S: Inner> Service<ServiceRequest> for Wrapped<L, S> {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        self.layer.clone().pass(request, Rc::clone(&self.inner)).boxed_local()
    }
}
