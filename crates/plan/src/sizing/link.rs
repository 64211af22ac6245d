//! What blocks come over.

/// A link or device that blocks are loaded over.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Link {
    /// For tables.
    pub name: &'static str,
    /// What is reached of it, in GB (10^9 bytes) a second.
    pub gb_s: f64,
}

const fn link(name: &'static str, gb_s: f64) -> Link {
    Link { name, gb_s }
}

/// The usual ones, slow to fast.
pub const LINKS: [Link; 8] = [
    link("10G", 1.1),
    link("25G", 2.8),
    link("NVMe4", 6.5),
    link("100G", 11.2),
    link("NVMe5", 13.0),
    link("PCIe4", 24.0),
    link("400G", 45.0),
    link("PCIe5", 52.0),
];
