//! The request that is being handled, for what no handler passes it to: outgoing calls, and log lines.
//!
//! A task that a handler spawns outlives its request and has none of this, unless its future is [`carry`]ed.

use std::future::Future;
use std::pin::pin;

use futures_util::future::Either;

use crate::trace::Names;

tokio::task_local! {
    // Kept by value, and given back at the end: a request costs no allocation for this.
    static NAMES: Names;
}

/// Runs a future as the handling of the request with these names, and gives them back beside what it returns.
pub(crate) async fn scope<F: Future>(names: Names, handling: F) -> (Names, F::Output) {
    let mut scoped = pin!(NAMES.scope(names, handling));
    let output = scoped.as_mut().await;
    let names = scoped.take_value().expect("only this function takes the names back");
    (names, output)
}

/// What `read` makes of the current request's names, if there is one.
///
/// For whatever runs while a request is polled, panic hooks and destructors included.
pub(crate) fn with<T>(read: impl FnOnce(&Names) -> T) -> Option<T> {
    NAMES.try_with(read).ok()
}

/// Lets a future that is spawned as a task of its own count as part of the request that is being handled.
///
/// Its log lines and outgoing calls then have the request's id and trace. Outside of a request it changes nothing.
///
/// ```
/// # async fn send_receipt() {}
/// async fn buy() -> &'static str {
///     actix_web::rt::spawn(chassis::carry(send_receipt()));
///     "bought"
/// }
/// ```
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    match with(Names::clone) {
        Some(names) => Either::Left(NAMES.scope(names, future)),
        None => Either::Right(future),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderValue};
    use actix_web::rt;

    use super::*;
    use crate::trace::REQUEST_ID;

    fn names(id: &'static str) -> Names {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static(id));
        Names::of(&headers)
    }

    fn id() -> Option<String> {
        with(|names| names.request_id.to_str().unwrap().to_owned())
    }

    #[actix_web::test]
    async fn requests_that_take_turns_keep_their_names() {
        let handling = |name| {
            scope(names(name), async move {
                let before = id();
                rt::task::yield_now().await;
                (before, id())
            })
        };
        let [first, second] = futures_util::future::join_all([handling("a"), handling("b")]).await.try_into().unwrap();
        assert_eq!(first.1, (Some("a".into()), Some("a".into())));
        assert_eq!(second.1, (Some("b".into()), Some("b".into())));
        assert_eq!((first.0.request_id, second.0.request_id), ("a".parse().unwrap(), "b".parse().unwrap()));
        assert_eq!(id(), None);
    }

    #[actix_web::test]
    async fn a_task_has_the_request_only_if_it_is_carried() {
        let (_, tasks) =
            scope(names("a"), async { (rt::spawn(async { id() }), rt::spawn(carry(async { id() }))) }).await;
        assert_eq!((tasks.0.await.unwrap(), tasks.1.await.unwrap()), (None, Some("a".into())));
        assert_eq!(carry(async { id() }).await, None);
    }
}
