//! HTTP in, HTTP out: takes a request apart, asks the domain, puts the answer together.

use actix_web::{Responder, web};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::Error;
use crate::greeting::{Greeting, Name};
use crate::ids::Ids;

/// Unknown parameters are passed over; the same one twice is the caller's mistake.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GreetingQuery {
    /// Whom to greet; nobody in particular is the world.
    #[param(max_length = 100, example = "Ada")]
    name: Option<String>,
}

/// Greets somebody.
#[utoipa::path(get, path = "/api/greeting", tag = "Greetings", params(GreetingQuery), responses(
    (status = 200, description = "A greeting with its number", body = Greeting),
    (status = 400, description = "The name is too long or there are two"),
))]
pub(crate) async fn greeting(ids: web::Data<Ids>, query: web::Query<GreetingQuery>) -> Result<impl Responder, Error> {
    let name = Name::new(query.into_inner().name)?;
    Ok(web::Json(Greeting::new(ids.take()?, &name)))
}
