mod access_log;
mod denials;
mod hides;
mod read;
