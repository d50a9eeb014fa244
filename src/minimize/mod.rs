//! The search for the smallest order that still shows a failure, when one answer proves little: a pure stepper
//! that asks for runs and is told what they showed.
