//! Accelerators, by their makers' figures.

/// An accelerator.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Gpu {
    /// The name used in flags.
    pub name: &'static str,
    /// Dense bf16 (fp16 where there is none) arithmetic, in 10^12 operations a second.
    pub tflops: f64,
    /// Memory, in GB (10^9 bytes).
    pub memory_gb: f64,
    /// What it exchanges with host memory, in GB a second that are reached, one direction.
    pub host_gb_s: f64,
}

const fn gpu(name: &'static str, tflops: f64, memory_gb: f64, host_gb_s: f64) -> Gpu {
    Gpu {
        name,
        tflops,
        memory_gb,
        host_gb_s,
    }
}

const PCIE3: f64 = 12.0;
const PCIE4: f64 = 24.0;
const PCIE5: f64 = 52.0;

/// All that are known. Others: give `--tflops` and `--gpu-memory`.
pub const GPUS: [Gpu; 14] = [
    gpu("a100", 312.0, 80.0, PCIE4),
    gpu("a100-40", 312.0, 40.0, PCIE4),
    gpu("h100", 989.0, 80.0, PCIE5),
    gpu("h100-nvl", 835.0, 94.0, PCIE5),
    gpu("h200", 989.0, 141.0, PCIE5),
    gpu("h20", 148.0, 96.0, PCIE5),
    gpu("b200", 2250.0, 180.0, PCIE5),
    gpu("l40s", 362.0, 48.0, PCIE4),
    gpu("l4", 121.0, 24.0, PCIE4),
    gpu("a10g", 70.0, 24.0, PCIE4),
    gpu("v100", 125.0, 32.0, PCIE3),
    gpu("t4", 65.0, 16.0, PCIE3),
    gpu("rtx4090", 165.0, 24.0, PCIE4),
    gpu("mi300x", 1307.0, 192.0, PCIE5),
];

impl Gpu {
    /// By name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        GPUS.into_iter().find(|each| each.name == name)
    }
}
