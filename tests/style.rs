//! The walls of the house: layers, fences, marks, and documents that say what the code says.

mod docs;
mod layers;
mod lists;
mod marks;
mod source;
