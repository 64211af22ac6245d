//! One size, one number of connections, one server.

use crate::{client::Client, server::Server};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// Bytes of all keys together: more than any cache of the processor, less than any server's memory.
const WORKING_SET: usize = 512 << 20;
const KEYS_MAX: usize = 1024;
const LOOKUPS: usize = 2000;

pub struct Measure {
    pub size: usize,
    pub connections: usize,
    /// How long each direction is measured.
    pub seconds: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub put_rate: f64,
    pub get_rate: f64,
    pub put_cpu: f64,
    pub get_cpu: f64,
    pub exists_us: f64,
}

impl Figure {
    /// The best of what the rounds gave: what else the machine does only ever makes it worse.
    pub fn best(rounds: &[Self]) -> Self {
        let most = |of: fn(&Self) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
        let least = |of: fn(&Self) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
        Self {
            put_rate: most(|figure| figure.put_rate),
            get_rate: most(|figure| figure.get_rate),
            put_cpu: least(|figure| figure.put_cpu),
            get_cpu: least(|figure| figure.get_cpu),
            exists_us: least(|figure| figure.exists_us),
        }
    }

    pub fn over(&self, other: &Self) -> Self {
        Self {
            put_rate: self.put_rate / other.put_rate,
            get_rate: self.get_rate / other.get_rate,
            put_cpu: self.put_cpu / other.put_cpu,
            get_cpu: self.get_cpu / other.get_cpu,
            exists_us: self.exists_us / other.exists_us,
        }
    }
}

impl Measure {
    pub fn run(&self, server: &Server) -> io::Result<Figure> {
        let keys: Vec<String> = (0..(WORKING_SET / self.size).min(KEYS_MAX))
            .map(|index| format!("model@1@0@{:x}@bfloat16", self.size << 16 | index))
            .collect();
        let value: Vec<u8> = (0..self.size).map(|at| (at * 31 % 251) as u8).collect();
        // All keys are there before anything is measured, and the memory has been touched.
        let mut first = Client::connect(server.port, server.speaks)?;
        for key in &keys {
            first.put(key, &value)?;
        }
        first.exists(&keys[0])?;
        let (put_rate, put_cpu) =
            self.all(server, &keys, |client, key, buffer| client.put(key, buffer))?;
        let (get_rate, get_cpu) =
            self.all(server, &keys, |client, key, buffer| client.get(key, buffer))?;
        let mut times = Vec::with_capacity(LOOKUPS);
        for lookup in 0..LOOKUPS {
            let start = Instant::now();
            first.exists(&keys[lookup % keys.len()])?;
            times.push(start.elapsed());
        }
        times.sort();
        Ok(Figure {
            put_rate,
            get_rate,
            put_cpu,
            get_cpu,
            exists_us: times[LOOKUPS / 2].as_secs_f64() * 1e6,
        })
    }

    /// (GB/s, the server's CPU seconds per GB) of all connections together.
    fn all(
        &self,
        server: &Server,
        keys: &[String],
        step: impl Fn(&mut Client, &str, &mut [u8]) -> io::Result<()> + Sync,
    ) -> io::Result<(f64, f64)> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::connect(server.port, server.speaks)?);
        }
        let cpu = server.cpu()?;
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(self.seconds);
        let step = &step;
        let done: io::Result<Vec<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter_mut()
                .enumerate()
                .map(|(index, client)| {
                    scope.spawn(move || {
                        let mut buffer = vec![index as u8; self.size];
                        let mut steps = 0;
                        while steps == 0 || Instant::now() < end {
                            let key = &keys[(steps * self.connections + index) % keys.len()];
                            step(client, key, &mut buffer)?;
                            steps += 1;
                        }
                        // A PUT over lm:// has no answer: wait until the server has read all.
                        client.exists(&keys[0])?;
                        Ok(steps)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a client"))
                .collect()
        });
        let bytes = done?.iter().sum::<usize>() * self.size;
        let gigabytes = bytes as f64 / 1e9;
        let seconds = start.elapsed().as_secs_f64();
        Ok((gigabytes / seconds, (server.cpu()? - cpu) / gigabytes))
    }
}
