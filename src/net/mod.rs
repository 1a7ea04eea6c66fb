//! Networks: the same solvers drive a U-Net through candle, on the CPU or on a card (features `candle`, `cuda`).

pub mod checkpoint;
pub mod clock;
pub mod device;
pub mod network;
pub mod ops;
pub mod scheduler;
pub mod tensor;
pub mod train;
pub mod unet;
