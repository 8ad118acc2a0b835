//! The finished tool as its user sees it: exit code, results and everything else, word for word.

mod blue_green;
mod bootstrap;
mod check_token;
mod diff;
mod doctor;
mod drift;
mod environments;
mod events;
mod github;
mod help;
mod images;
mod instances;
mod refused;
mod releases;
mod rollback;
mod smoke;
mod streams;
mod verify;
mod waits;
mod without_image;
