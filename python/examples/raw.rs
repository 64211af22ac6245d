//! The native client alone, for `tests/plug/client.py` to stand beside: puts, or gets, so many batches
//! of blocks and says how many bytes a second that was.
//!
//! `raw HOST:PORT NAMESPACE put|get BATCHES BLOCKS BYTES`
#![expect(clippy::print_stdout, reason = "a program for people")]

use onefill_wire::client::{Client, ClientConfig, GetBlock, PutBlock, WINDOW_BYTES};
use std::{
    error::Error,
    time::{Duration, Instant},
};

const WAIT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, namespace, what, batches, blocks, bytes] = args.as_slice() else {
        return Err("usage: raw HOST:PORT NAMESPACE put|get BATCHES BLOCKS BYTES".into());
    };
    let (batches, blocks, bytes): (usize, usize, usize) =
        (batches.parse()?, blocks.parse()?, bytes.parse()?);
    let client = Client::new(ClientConfig {
        address: address.clone(),
        namespace: namespace.clone(),
        token: String::new(),
        tls: None,
        connect_timeout: WAIT,
        idle_max: 1,
        window_bytes: WINDOW_BYTES,
    });
    let mut memory: Vec<Vec<u8>> = (0..blocks).map(|block| fill(block, bytes)).collect();
    // Connected, with memory shared, before the clock starts.
    let connect = ["connect".to_owned()];
    put(&client, &connect, &memory[..1])?;
    get(&client, &connect, &mut memory[..1])?;
    let start = Instant::now();
    for batch in 0..batches {
        let keys: Vec<String> = (0..blocks)
            .map(|block| format!("{batch}-{block}"))
            .collect();
        if what == "put" {
            put(&client, &keys, &memory)?;
        } else {
            get(&client, &keys, &mut memory)?;
        }
    }
    let moved = (batches * blocks * bytes) as f64;
    println!("{}", moved / start.elapsed().as_secs_f64());
    Ok(())
}

fn put(client: &Client, keys: &[String], memory: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
    client.exists(&names, false, WAIT)?;
    let blocks: Vec<PutBlock<'_>> = names
        .iter()
        .zip(memory)
        .map(|(key, bytes)| PutBlock {
            key,
            parent: &[],
            bytes,
            ttl_ms: 0,
            only_new: true,
        })
        .collect();
    client.put(&blocks, WAIT)?;
    Ok(())
}

fn get(client: &Client, keys: &[String], memory: &mut [Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let mut blocks: Vec<GetBlock<'_>> = keys
        .iter()
        .zip(memory)
        .map(|(key, into)| GetBlock {
            key: key.as_bytes(),
            into,
        })
        .collect();
    client.get(&mut blocks, WAIT)?;
    Ok(())
}

fn fill(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|index| (index * 31 + seed * 17) as u8)
        .collect()
}
