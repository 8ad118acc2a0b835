//! Notes: what they are, and how they are asked for over HTTP.

use std::sync::Mutex;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, ResponseError, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{readable, resource};

const LONGEST: usize = 1000;

/// Where the notes are kept; a database takes this place.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Note>>);

/// A note with its number.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Note {
    #[schema(minimum = 1, example = 1)]
    id: usize,
    #[schema(min_length = 1, max_length = 1000, example = "Water the plants")]
    text: String,
}

/// What a new note is made of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    #[schema(min_length = 1, max_length = 1000, example = "Water the plants")]
    text: String,
}

/// Why there is no note to answer with; the status makes it problem details.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no note {0}")]
    Missing(usize),
    #[error("a note has 1 to {LONGEST} characters, this one has {0}")]
    Length(usize),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Length(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl Notes {
    fn add(&self, text: String) -> Result<Note, Error> {
        let characters = text.chars().count();
        if !(1..=LONGEST).contains(&characters) {
            return Err(Error::Length(characters));
        }
        let mut notes = self.0.lock().expect("nobody panics while holding the notes");
        let note = Note { id: notes.len() + 1, text };
        notes.push(note.clone());
        Ok(note)
    }

    fn find(&self, id: usize) -> Result<Note, Error> {
        let notes = self.0.lock().expect("nobody panics while holding the notes");
        notes.iter().find(|note| note.id == id).cloned().ok_or(Error::Missing(id))
    }
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/api/notes").route(web::post().to(create))).service(readable("/api/notes/{id}", read));
}

/// Keeps a note.
#[utoipa::path(post, path = "/api/notes", tag = "Notes", request_body = NewNote, responses(
    (status = 201, description = "The note with its number", body = Note,
        headers(("Location" = String, description = "Where it can be read, relative to this resource"))),
    (status = 400, description = "The body is not JSON"),
    (status = 415, description = "The body has another media type"),
    (status = 422, description = "The body is not a note, or its text is empty or too long"),
))]
pub(crate) async fn create(notes: web::Data<Notes>, new: web::Json<NewNote>) -> Result<HttpResponse, Error> {
    let note = notes.add(new.into_inner().text)?;
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("notes/{}", note.id))).json(note))
}

/// Reads a note.
#[utoipa::path(get, path = "/api/notes/{id}", tag = "Notes",
    params(("id" = usize, Path, description = "Its number", example = 1)),
    responses(
        (status = 200, description = "The note", body = Note),
        (status = 404, description = "There is no note with this number"),
    ))]
pub(crate) async fn read(notes: web::Data<Notes>, id: web::Path<usize>) -> Result<web::Json<Note>, Error> {
    notes.find(id.into_inner()).map(web::Json)
}
