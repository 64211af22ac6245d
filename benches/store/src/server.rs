//! The servers, each a process of its own so that its CPU time can be read.

use crate::client::{Client, Speaks};
use std::{
    env, fs, io,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Memory that each server may take; the keys of one measurement fit.
const MEMORY: &str = "1536MiB";
/// `USER_HZ` of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

pub struct Server {
    pub name: &'static str,
    pub port: u16,
    pub speaks: Speaks,
    process: Process,
}

/// One process may have two doors.
pub struct Process {
    pid: u32,
    child: Option<Child>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    pub fn all() -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        all.extend(Self::onefill()?);
        all.push(Self::redis()?);
        all.extend(Self::lmcache()?);
        all.push(Self::raw()?);
        for server in &all {
            server.wait()?;
        }
        Ok(all)
    }

    fn onefill() -> io::Result<[Self; 2]> {
        let (lm, resp) = (free_port()?, free_port()?);
        let program = env::var_os("ONEFILL_BIN").expect("ONEFILL_BIN names the onefill program");
        let mut command = Command::new(program);
        command.args([
            "store", "--admin", "none", "--native", "none", "--memory", MEMORY,
        ]);
        command.args(["--lm", &format!("127.0.0.1:{lm}")]);
        command.args(["--resp", &format!("127.0.0.1:{resp}")]);
        let child = start(command)?;
        let pid = child.id();
        let server = |name, port, speaks, child| Self {
            name,
            port,
            speaks,
            process: Process { pid, child },
        };
        Ok([
            server("onefill resp", resp, Speaks::Resp, Some(child)),
            server("onefill lm", lm, Speaks::Lm, None),
        ])
    }

    fn redis() -> io::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(["--bind", "127.0.0.1", "--maxmemory", "1536mb"]);
        command.args(["--maxmemory-policy", "allkeys-lru"]);
        Self::process("redis", port, Speaks::Resp, command)
    }

    /// LMCache's own server, which keeps all that it is given: it sees the same few keys.
    fn lmcache() -> io::Result<Option<Self>> {
        let Some(folder) = env::var_os("ONEFILL_LMCACHE") else {
            return Ok(None);
        };
        let port = free_port()?;
        let program = PathBuf::from(folder).join("lmcache/bin/lmcache_server");
        let mut command = Command::new(program);
        command.args(["127.0.0.1", &port.to_string(), "cpu"]);
        Self::process("lmcache_server", port, Speaks::Lm, command).map(Some)
    }

    fn raw() -> io::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["--raw", &port.to_string()]);
        Self::process("raw tcp", port, Speaks::Raw, command)
    }

    fn process(
        name: &'static str,
        port: u16,
        speaks: Speaks,
        command: Command,
    ) -> io::Result<Self> {
        let child = start(command)?;
        Ok(Self {
            name,
            port,
            speaks,
            process: Process {
                pid: child.id(),
                child: Some(child),
            },
        })
    }

    fn wait(&self) -> io::Result<()> {
        for _ in 0..600 {
            if Client::connect(self.port, self.speaks).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other(format!("{} does not answer", self.name)))
    }

    /// CPU seconds of the process so far.
    pub fn cpu(&self) -> io::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process.pid))?;
        // Behind the name in brackets: user and system time are the 12th and 13th field there.
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }
}

fn start(mut command: Command) -> io::Result<Child> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// The kernel's limit: bytes into one buffer and out of it, nothing else.
pub fn raw(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || _ = raw_connection(stream));
    }
    Ok(())
}

fn raw_connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 32 << 20];
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let mut len = [0; 8];
        len.copy_from_slice(&head[1..]);
        let bytes = &mut buffer[..u64::from_le_bytes(len) as usize];
        if head[0] == b'P' {
            stream.read_exact(bytes)?;
            stream.write_all(b"k")?;
        } else {
            stream.write_all(bytes)?;
        }
    }
}
