//! What tells users about the service: the OpenAPI document, and a page on which they can try it.
//!
//! All of it is in the binary and none of it changes while the process lives, so that a browser may keep it and asks
//! whether it is still the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header, HeaderValue, IfNoneMatch, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::OpenApi;

use crate::readable;

/// The page's own origin and nothing else; no script in the markup, and no markup made by a script from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// One file as it is served.
struct Asset {
    content_type: &'static str,
    body: Bytes,
    tag: EntityTag,
}

static PAGE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/html; charset=utf-8", include_str!("docs/index.html")));
static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/css; charset=utf-8", include_str!("docs/page.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", include_str!("docs/page.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("image/svg+xml", include_str!("docs/icon.svg")));

/// The OpenAPI document, rendered when it is first asked for.
#[derive(Clone)]
pub(crate) struct Document(Arc<(OpenApi, OnceLock<Asset>)>);

impl Document {
    pub(crate) fn new(openapi: OpenApi) -> Self {
        Self(Arc::new((openapi, OnceLock::new())))
    }

    fn asset(&self) -> &Asset {
        let (openapi, asset) = &*self.0;
        let render = || openapi.to_json().expect("text, numbers and maps with text as keys are always JSON");
        asset.get_or_init(|| Asset::new("application/json", render()))
    }
}

/// The document and the page; its parts name each other relatively, so that they also work below a prefix.
pub(crate) fn routes(config: &mut web::ServiceConfig, document: Document) {
    let openapi = async |request: HttpRequest, document: web::Data<Document>| document.asset().answer(&request);
    config
        .service(readable("/openapi.json", openapi).app_data(web::Data::new(document)))
        .service(readable("/docs", async || to_the_page()))
        .service(readable("/docs/", async |request: HttpRequest| PAGE.answer(&request)))
        .service(readable("/docs/page.css", async |request: HttpRequest| STYLE.answer(&request)))
        .service(readable("/docs/page.js", async |request: HttpRequest| SCRIPT.answer(&request)))
        .service(readable("/docs/icon.svg", async |request: HttpRequest| ICON.answer(&request)));
}

fn to_the_page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}

impl Asset {
    fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self { content_type, body, tag: EntityTag::new_strong(format!("{:016x}", hasher.finish())) }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut answer = if self.is_known_to(request) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer
            .insert_header((ETAG, self.tag.to_string()))
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
            .insert_header((CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
            .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .insert_header((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        if self.is_known_to(request) {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, self.content_type)).body(self.body.clone())
    }

    /// Whether the caller has this very content; a proxy that compresses has made its tag a weak one.
    fn is_known_to(&self, request: &HttpRequest) -> bool {
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            Err(_) => false,
        }
    }
}
