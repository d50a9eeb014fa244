//! The pytest runner on the host, without a container, against real releases of pytest.
//!
//! The first test that needs a virtual environment makes it, with pip, below `target/tmp`.

mod driver;
mod fixtures;
mod host;
