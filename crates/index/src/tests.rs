mod concurrent;
mod differential;
mod scripted;
mod world;
