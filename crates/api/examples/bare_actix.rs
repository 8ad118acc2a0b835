//! What the service's own layers are measured against: actix-web that answers the same bytes, on one worker.
//!
//!     bare_actix PORT

use std::error::Error;

use actix_web::{App, HttpResponse, HttpServer, web};

const BODY: &str = r#"{"id":1,"content":"Hello, World!"}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: bare_actix PORT")?.parse()?;
    let app = || {
        App::new().route(
            "/api/greeting",
            web::get().to(|| async { HttpResponse::Ok().content_type("application/json").body(BODY) }),
        )
    };
    let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?;
    actix_web::rt::System::new().block_on(server.run())?;
    Ok(())
}
