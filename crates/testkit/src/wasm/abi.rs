//! The host's side of proxy-wasm ABI 0.2.1, as Envoy implements it: the functions that the filter
//! calls. Every other import traps with its name.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Engine, Linker, Memory, Result, StoreLimits, TypedFunc, format_err};

use super::wasi;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;

const REQUEST_HEADERS: usize = 0;
const RESPONSE_HEADERS: usize = 2;
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const PLUGIN_CONFIGURATION: u32 = 7;

/// Header fields in order, duplicates kept.
pub type Fields = Vec<(String, Vec<u8>)>;

/// A header map that the guest can reach only while Envoy would let it.
#[derive(Default)]
pub struct HeaderMap {
    pub fields: Fields,
    pub open: bool,
}

/// One HTTP exchange as the guest sees it.
#[derive(Default)]
pub struct Stream {
    pub request: HeaderMap,
    pub response: HeaderMap,
    /// What is buffered of the request body.
    pub body: Vec<u8>,
    /// The piece of the response body that passes.
    pub response_body: Vec<u8>,
    pub filter_state: BTreeMap<String, Vec<u8>>,
    pub foreign_calls: Vec<String>,
}

#[derive(Debug)]
pub struct Metric {
    pub name: String,
    /// Sum of a counter's increments.
    pub value: i64,
    /// What was recorded into a histogram.
    pub recorded: Vec<u64>,
}

/// What the guest needs to be handed memory.
#[derive(Clone)]
pub struct Guest {
    pub memory: Memory,
    pub allocate: TypedFunc<u32, u32>,
}

pub struct Host {
    pub configuration: Vec<u8>,
    pub guest: Option<Guest>,
    pub streams: BTreeMap<u32, Stream>,
    /// The context whose callback runs.
    pub active: u32,
    pub metrics: Vec<Metric>,
    pub log: Vec<String>,
    /// What went to stdout or stderr: nothing, ever.
    pub printed: Vec<u8>,
    pub limits: StoreLimits,
    /// What the workers of an Envoy share: value and version by name.
    pub shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// How many of the next writes to shared data another worker forestalls.
    pub forestalled: u32,
    /// The route's metadata under the filter's name.
    pub route_metadata: BTreeMap<String, String>,
    /// Of the upstream's answers.
    pub status: String,
    pub(super) random: u64,
}

impl Host {
    pub fn new(configuration: &[u8], limits: StoreLimits) -> Self {
        Host {
            configuration: configuration.to_vec(),
            guest: None,
            streams: BTreeMap::new(),
            active: 0,
            metrics: Vec::new(),
            log: Vec::new(),
            printed: Vec::new(),
            limits,
            shared: BTreeMap::new(),
            forestalled: 0,
            route_metadata: BTreeMap::new(),
            status: "200".into(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn map(&mut self, map: u32) -> Option<&mut Fields> {
        let stream = self.streams.get_mut(&self.active)?;
        let map = match map as usize {
            REQUEST_HEADERS => &mut stream.request,
            RESPONSE_HEADERS => &mut stream.response,
            _ => return None,
        };
        map.open.then_some(&mut map.fields)
    }
}

pub(super) type Call<'a> = Caller<'a, Host>;

fn guest(call: &Call) -> Result<Guest> {
    call.data().guest.clone().ok_or_else(|| format_err!("host call before instantiation"))
}

pub(super) fn bytes(call: &Call, at: u32, len: u32) -> Result<Vec<u8>> {
    let memory = guest(call)?.memory.data(call);
    let range = at as usize..at as usize + len as usize;
    memory.get(range).map(<[u8]>::to_vec).ok_or_else(|| format_err!("guest gave a wild pointer"))
}

fn text(call: &Call, at: u32, len: u32) -> Result<String> {
    Ok(String::from_utf8(bytes(call, at, len)?)?)
}

pub(super) fn write(call: &mut Call, at: u32, value: &[u8]) -> Result<()> {
    let memory = guest(call)?.memory;
    Ok(memory.write(call, at as usize, value)?)
}

/// Hands bytes to the guest: in memory that the guest allocates, and that is then its own.
fn give(call: &mut Call, value: &[u8], at: u32, len: u32) -> Result<u32> {
    let mut address = 0;
    if !value.is_empty() {
        address = guest(call)?.allocate.call(&mut *call, value.len() as u32)?;
        write(call, address, value)?;
    }
    write(call, at, &address.to_le_bytes())?;
    write(call, len, &(value.len() as u32).to_le_bytes())?;
    Ok(OK)
}

fn log(mut call: Call, level: u32, at: u32, len: u32) -> Result<u32> {
    let level = ["trace", "debug", "info", "warn", "error", "critical"][level as usize];
    let message = text(&call, at, len)?;
    call.data_mut().log.push(format!("{level}: {message}"));
    Ok(OK)
}

fn get_log_level(mut call: Call, at: u32) -> Result<u32> {
    let info = 2u32;
    write(&mut call, at, &info.to_le_bytes())?;
    Ok(OK)
}

fn now(mut call: Call, at: u32) -> Result<u32> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    write(&mut call, at, &now.to_le_bytes())?;
    Ok(OK)
}

fn get_buffer(mut call: Call, kind: u32, start: u32, max: u32, at: u32, len: u32) -> Result<u32> {
    let host = call.data();
    let buffer = match kind {
        PLUGIN_CONFIGURATION => Some(&host.configuration),
        REQUEST_BODY => host.streams.get(&host.active).map(|stream| &stream.body),
        RESPONSE_BODY => host.streams.get(&host.active).map(|stream| &stream.response_body),
        _ => None,
    };
    let Some(buffer) = buffer else { return Ok(NOT_FOUND) };
    let start = start as usize;
    if start > buffer.len() {
        return Ok(BAD_ARGUMENT);
    }
    let end = start.saturating_add(max as usize).min(buffer.len());
    let part = buffer[start..end].to_vec();
    give(&mut call, &part, at, len)
}

fn get_header(mut call: Call, map: u32, key: u32, key_len: u32, at: u32, len: u32) -> Result<u32> {
    let key = text(&call, key, key_len)?;
    let Some(fields) = call.data_mut().map(map) else { return Ok(BAD_ARGUMENT) };
    let values: Vec<&[u8]> =
        fields.iter().filter(|(name, _)| *name == key).map(|(_, value)| &value[..]).collect();
    if values.is_empty() {
        return Ok(NOT_FOUND);
    }
    // Envoy joins the values of a repeated field.
    let value = values.join(&b","[..]);
    give(&mut call, &value, at, len)
}

/// Replaces (`value` given) or removes a field; `add` keeps those that are there.
fn edit(
    mut call: Call,
    map: u32,
    key: (u32, u32),
    value: Option<(u32, u32)>,
    add: bool,
) -> Result<u32> {
    let key = text(&call, key.0, key.1)?;
    let value = value.map(|(at, len)| bytes(&call, at, len)).transpose()?;
    let Some(fields) = call.data_mut().map(map) else { return Ok(BAD_ARGUMENT) };
    if !add {
        fields.retain(|(name, _)| *name != key);
    }
    fields.extend(value.map(|value| (key, value)));
    Ok(OK)
}

fn replace_header(call: Call, map: u32, k: u32, k_len: u32, v: u32, v_len: u32) -> Result<u32> {
    edit(call, map, (k, k_len), Some((v, v_len)), false)
}

fn add_header(call: Call, map: u32, k: u32, k_len: u32, v: u32, v_len: u32) -> Result<u32> {
    edit(call, map, (k, k_len), Some((v, v_len)), true)
}

fn remove_header(call: Call, map: u32, k: u32, k_len: u32) -> Result<u32> {
    edit(call, map, (k, k_len), None, false)
}

fn get_property(mut call: Call, path: u32, path_len: u32, at: u32, len: u32) -> Result<u32> {
    let path = text(&call, path, path_len)?.replace('\0', ".");
    let value = match path.as_str() {
        "plugin_name" => b"pointsman".to_vec(),
        "plugin_root_id" | "plugin_vm_id" => Vec::new(),
        "request.id" => format!("00000000-0000-4000-8000-{:012x}", call.data().active).into_bytes(),
        "xds.cluster_name" => {
            let host = call.data_mut();
            let request = host.streams.get(&host.active).map(|stream| &stream.request.fields);
            let cluster = request
                .and_then(|fields| fields.iter().find(|(name, _)| name == "x-pointsman-cluster"));
            match cluster {
                Some((_, value)) => value.clone(),
                None => return Ok(NOT_FOUND),
            }
        }
        path => {
            let name = path.strip_prefix("xds.route_metadata.filter_metadata.pointsman.");
            match name.and_then(|name| call.data().route_metadata.get(name)) {
                Some(value) => value.clone().into_bytes(),
                None => return Ok(NOT_FOUND),
            }
        }
    };
    give(&mut call, &value, at, len)
}

/// As Envoy: the first `max` bytes from `start` on make room for the new ones.
fn set_buffer(mut call: Call, kind: u32, start: u32, max: u32, at: u32, len: u32) -> Result<u32> {
    let bytes = bytes(&call, at, len)?;
    let host = call.data_mut();
    let Some(stream) = host.streams.get_mut(&host.active) else { return Ok(BAD_ARGUMENT) };
    if kind != REQUEST_BODY || start != 0 {
        return Ok(BAD_ARGUMENT);
    }
    let end = (max as usize).min(stream.body.len());
    stream.body.splice(..end, bytes);
    Ok(OK)
}

fn get_shared_data(
    mut call: Call,
    key: u32,
    key_len: u32,
    at: u32,
    len: u32,
    cas: u32,
) -> Result<u32> {
    let key = text(&call, key, key_len)?;
    let Some((value, version)) = call.data().shared.get(&key).cloned() else {
        return Ok(NOT_FOUND);
    };
    write(&mut call, cas, &version.to_le_bytes())?;
    give(&mut call, &value, at, len)
}

fn set_shared_data(
    mut call: Call,
    key: u32,
    key_len: u32,
    value: u32,
    len: u32,
    cas: u32,
) -> Result<u32> {
    let key = text(&call, key, key_len)?;
    let value = bytes(&call, value, len)?;
    let host = call.data_mut();
    let place = host.shared.entry(key).or_default();
    if host.forestalled > 0 {
        host.forestalled -= 1;
        place.1 += 1;
    }
    if cas != 0 && cas != place.1 {
        return Ok(CAS_MISMATCH);
    }
    *place = (value, place.1 + 1);
    Ok(OK)
}

fn set_property(mut call: Call, path: u32, path_len: u32, v: u32, v_len: u32) -> Result<u32> {
    let path = text(&call, path, path_len)?;
    let value = bytes(&call, v, v_len)?;
    let host = call.data_mut();
    let Some(stream) = host.streams.get_mut(&host.active) else { return Ok(BAD_ARGUMENT) };
    stream.filter_state.insert(path, value);
    Ok(OK)
}

fn define_metric(mut call: Call, kind: u32, name: u32, len: u32, id: u32) -> Result<u32> {
    if kind > 2 {
        return Ok(BAD_ARGUMENT);
    }
    let name = text(&call, name, len)?;
    let metrics = &mut call.data_mut().metrics;
    let number = metrics.iter().position(|metric| metric.name == name).unwrap_or(metrics.len());
    if number == metrics.len() {
        metrics.push(Metric { name, value: 0, recorded: Vec::new() });
    }
    write(&mut call, id, &(number as u32).to_le_bytes())?;
    Ok(OK)
}

fn increment_metric(mut call: Call, id: u32, offset: i64) -> Result<u32> {
    let Some(metric) = call.data_mut().metrics.get_mut(id as usize) else { return Ok(NOT_FOUND) };
    metric.value += offset;
    Ok(OK)
}

fn record_metric(mut call: Call, id: u32, value: u64) -> Result<u32> {
    let Some(metric) = call.data_mut().metrics.get_mut(id as usize) else { return Ok(NOT_FOUND) };
    metric.recorded.push(value);
    Ok(OK)
}

fn foreign_function(
    mut call: Call,
    name: u32,
    name_len: u32,
    _arguments: u32,
    _arguments_len: u32,
    at: u32,
    len: u32,
) -> Result<u32> {
    let name = text(&call, name, name_len)?;
    let host = call.data_mut();
    let known = name == "clear_route_cache";
    if let Some(stream) = host.streams.get_mut(&host.active) {
        stream.foreign_calls.push(name);
    }
    if known { give(&mut call, &[], at, len) } else { Ok(NOT_FOUND) }
}

/// A linker that knows what Envoy offers and the filter uses.
pub fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let env = "env";
    linker.func_wrap(env, "proxy_log", log)?;
    linker.func_wrap(env, "proxy_get_log_level", get_log_level)?;
    linker.func_wrap(env, "proxy_get_current_time_nanoseconds", now)?;
    linker.func_wrap(env, "proxy_get_buffer_bytes", get_buffer)?;
    linker.func_wrap(env, "proxy_get_header_map_value", get_header)?;
    linker.func_wrap(env, "proxy_replace_header_map_value", replace_header)?;
    linker.func_wrap(env, "proxy_add_header_map_value", add_header)?;
    linker.func_wrap(env, "proxy_remove_header_map_value", remove_header)?;
    linker.func_wrap(env, "proxy_set_buffer_bytes", set_buffer)?;
    linker.func_wrap(env, "proxy_get_shared_data", get_shared_data)?;
    linker.func_wrap(env, "proxy_set_shared_data", set_shared_data)?;
    linker.func_wrap(env, "proxy_get_property", get_property)?;
    linker.func_wrap(env, "proxy_set_property", set_property)?;
    linker.func_wrap(env, "proxy_define_metric", define_metric)?;
    linker.func_wrap(env, "proxy_increment_metric", increment_metric)?;
    linker.func_wrap(env, "proxy_record_metric", record_metric)?;
    linker.func_wrap(env, "proxy_call_foreign_function", foreign_function)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}
