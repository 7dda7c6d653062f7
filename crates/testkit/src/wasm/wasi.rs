//! What the guest asks of WASI: output, random numbers, clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Linker, Result, bail};

use super::abi::{Call, Host, bytes, write};

fn fd_write(mut call: Call, _fd: u32, vectors: u32, count: u32, written: u32) -> Result<u32> {
    let mut total = 0;
    for vector in 0..count {
        let pair = bytes(&call, vectors + vector * 8, 8)?;
        let at = u32::from_le_bytes(pair[..4].try_into()?);
        let len = u32::from_le_bytes(pair[4..].try_into()?);
        let printed = bytes(&call, at, len)?;
        call.data_mut().printed.extend(printed);
        total += len;
    }
    write(&mut call, written, &total.to_le_bytes())?;
    Ok(0)
}

fn random_get(mut call: Call, at: u32, len: u32) -> Result<u32> {
    // SplitMix64: the same hash seeds in every run.
    let mut random = Vec::with_capacity(len as usize);
    for _ in 0..len {
        let host = call.data_mut();
        host.random = host.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (host.random ^ (host.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random.push((mixed ^ (mixed >> 31)) as u8);
    }
    write(&mut call, at, &random)?;
    Ok(0)
}

fn clock_time_get(mut call: Call, _clock: u32, _precision: u64, at: u32) -> Result<u32> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    write(&mut call, at, &now.to_le_bytes())?;
    Ok(0)
}

/// No variables and no arguments: both counts are zero.
fn sizes_get(mut call: Call, count: u32, size: u32) -> Result<u32> {
    write(&mut call, count, &0u32.to_le_bytes())?;
    write(&mut call, size, &0u32.to_le_bytes())?;
    Ok(0)
}

fn proc_exit(_: Call, code: u32) -> Result<()> {
    bail!("the guest called proc_exit({code})")
}

pub(super) fn link(linker: &mut Linker<Host>) -> Result<()> {
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(wasi, "fd_write", fd_write)?;
    linker.func_wrap(wasi, "random_get", random_get)?;
    linker.func_wrap(wasi, "clock_time_get", clock_time_get)?;
    linker.func_wrap(wasi, "environ_sizes_get", sizes_get)?;
    linker.func_wrap(wasi, "environ_get", |_: Call, _: u32, _: u32| -> u32 { 0 })?;
    linker.func_wrap(wasi, "sched_yield", || -> u32 { 0 })?;
    linker.func_wrap(wasi, "proc_exit", proc_exit)?;
    Ok(())
}
