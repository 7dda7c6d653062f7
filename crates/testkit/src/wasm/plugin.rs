//! Drives the filter through requests, in the order and with the rules of Envoy's wasm extension.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use wasmtime::{
    Config, Engine, Instance, InstancePre, Module, Store, StoreLimitsBuilder, TypedFunc,
    WasmParams, WasmResults,
};

use super::abi::{self, Fields, Guest, Host, Metric, Stream};

/// Where `make build` leaves the artefact.
pub const ARTEFACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/pointsman.wasm");

/// One guest may grow to this. Envoy sets no limit: a leak ends in the kernel's hands.
const MEMORY_LIMIT: usize = 256 << 20;
/// No callback may run longer: a parser that loops must not hang the test run.
const DEADLINE_SECONDS: u64 = 60;

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

/// Why an exchange did not end well, with everything that the guest logged.
pub struct Failure {
    pub what: String,
    pub log: Vec<String>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}\nguest log:\n  {}", self.what, self.log.join("\n  "))
    }
}

/// The compiled module. Compilation takes seconds, so it happens once for all tests.
pub fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        assert!(Path::new(ARTEFACT).exists(), "{ARTEFACT} is missing: run `make build` first");
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let ticking = engine.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                ticking.increment_epoch();
            }
        });
        Module::from_file(&engine, ARTEFACT).unwrap()
    })
}

fn linked() -> &'static InstancePre<Host> {
    static LINKED: OnceLock<InstancePre<Host>> = OnceLock::new();
    LINKED.get_or_init(|| link(module()))
}

fn link(module: &Module) -> InstancePre<Host> {
    let mut linker = abi::linker(module.engine()).unwrap();
    linker.define_unknown_imports_as_traps(module).unwrap();
    linker.instantiate_pre(module).unwrap()
}

/// A request as a client sends it.
#[derive(Clone, Debug)]
pub struct Request {
    pub headers: Fields,
    /// The body, as it arrives. No chunk: headers only.
    pub body: Vec<Vec<u8>>,
    pub trailers: bool,
}

impl Request {
    /// A chat completion in one piece.
    pub fn chat(body: impl Into<Vec<u8>>) -> Self {
        Request {
            headers: fields(&[
                (":method", "POST"),
                (":path", "/v1/chat/completions"),
                (":authority", "llm.example"),
                ("content-type", "application/json"),
            ]),
            body: vec![body.into()],
            trailers: false,
        }
    }

    /// The same body in pieces of `size` bytes.
    pub fn in_chunks(mut self, size: usize) -> Self {
        self.body = self.body.concat().chunks(size).map(<[u8]>::to_vec).collect();
        self
    }

    /// Replaces a header field.
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_string(), value.to_vec()));
        self
    }
}

pub fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// What is left of an exchange when it is over.
#[derive(Debug)]
pub struct Exchange {
    /// As the upstream receives them.
    pub request_headers: Fields,
    /// As the client receives them.
    pub response_headers: Fields,
    /// The decision record in the filter state, for the access log.
    pub record: Option<Value>,
    pub foreign_calls: Vec<String>,
    /// The last that was buffered of the request body.
    pub body: Vec<u8>,
    /// The most of the body that Envoy had to hold back at once, in bytes.
    pub held: usize,
}

impl Exchange {
    pub fn request_header(&self, name: &str) -> Option<&str> {
        find(&self.request_headers, name)
    }

    pub fn response_header(&self, name: &str) -> Option<&str> {
        find(&self.response_headers, name)
    }

    /// A text field of the decision record.
    pub fn recorded(&self, field: &str) -> &str {
        self.record.as_ref().and_then(|record| record[field].as_str()).unwrap_or_default()
    }
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let value = fields.iter().find(|(other, _)| other == name).map(|(_, value)| value)?;
    Some(std::str::from_utf8(value).unwrap())
}

/// A configured filter in a VM of its own.
pub struct Plugin {
    store: Store<Host>,
    instance: Instance,
    next_context: u32,
}

const ROOT: u32 = 1;

impl Plugin {
    /// Starts a VM and configures the filter; a refused configuration is a failure.
    pub fn start(configuration: &[u8]) -> Result<Plugin, Failure> {
        Self::start_in(linked(), configuration, None)
    }

    /// The same of any built filter, with this much fuel: what runs is counted ([`Plugin::fuel`]).
    pub fn metered(module: &Path, configuration: &[u8], fuel: u64) -> Result<Plugin, Failure> {
        let mut config = Config::new();
        config.epoch_interruption(true).consume_fuel(true);
        let module = Module::from_file(&Engine::new(&config).unwrap(), module).unwrap();
        Self::start_in(&link(&module), configuration, Some(fuel))
    }

    /// What is left of the fuel: about one unit per WebAssembly instruction is used.
    pub fn fuel(&self) -> u64 {
        self.store.get_fuel().unwrap()
    }

    fn start_in(
        pre: &InstancePre<Host>,
        configuration: &[u8],
        fuel: Option<u64>,
    ) -> Result<Plugin, Failure> {
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).build();
        let mut store = Store::new(pre.module().engine(), Host::new(configuration, limits));
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(DEADLINE_SECONDS);
        fuel.iter().for_each(|fuel| store.set_fuel(*fuel).unwrap());
        let instance = pre.instantiate(&mut store).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let allocate = instance.get_typed_func(&mut store, "proxy_on_memory_allocate").unwrap();
        store.data_mut().guest = Some(Guest { memory, allocate });
        let mut plugin = Plugin { store, instance, next_context: ROOT + 1 };

        plugin.call::<_, ()>("_initialize", ())?;
        plugin.call::<_, ()>("proxy_on_context_create", (ROOT, 0))?;
        if plugin.call::<_, u32>("proxy_on_vm_start", (ROOT, 0))? != 1 {
            return Err(plugin.failure("proxy_on_vm_start returned false".into()));
        }
        let size = configuration.len() as u32;
        if plugin.call::<_, u32>("proxy_on_configure", (ROOT, size))? != 1 {
            return Err(plugin.failure("proxy_on_configure returned false".into()));
        }
        Ok(plugin)
    }

    fn failure(&self, what: String) -> Failure {
        Failure { what, log: self.store.data().log.clone() }
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, p: P) -> Result<R, Failure> {
        self.store.set_epoch_deadline(DEADLINE_SECONDS);
        let function: TypedFunc<P, R> =
            self.instance.get_typed_func(&mut self.store, name).unwrap();
        function
            .call(&mut self.store, p)
            .map_err(|trap| self.failure(format!("{name} trapped: {trap:?}")))
    }

    /// A callback of a stream's context.
    fn on<P: WasmParams>(&mut self, id: u32, name: &str, params: P) -> Result<u32, Failure> {
        self.store.data_mut().active = id;
        self.call(name, params)
    }

    fn stream(&mut self, id: u32) -> &mut Stream {
        self.store.data_mut().streams.get_mut(&id).unwrap()
    }

    /// Bytes of the guest's linear memory. It never shrinks.
    pub fn memory(&self) -> usize {
        self.store.data().guest.as_ref().unwrap().memory.data_size(&self.store)
    }

    /// The host's state, to look at or to change.
    pub fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    pub fn printed(&self) -> &[u8] {
        &self.store.data().printed
    }

    pub fn metrics(&self) -> &[Metric] {
        &self.store.data().metrics
    }

    /// A counter's value; 0 when it is not defined.
    pub fn counter(&self, name: &str) -> i64 {
        self.metrics().iter().find(|metric| metric.name == name).map_or(0, |metric| metric.value)
    }

    /// A request's headers arrive. The answer is its context and whether it is held back.
    pub fn open(&mut self, request: &Request) -> Result<(u32, bool), Failure> {
        let id = self.next_context;
        self.next_context += 1;
        let mut stream = Stream::default();
        stream.request.fields = request.headers.clone();
        stream.request.open = true;
        self.store.data_mut().streams.insert(id, stream);
        self.call::<_, ()>("proxy_on_context_create", (id, ROOT))?;
        let end = request.body.is_empty() && !request.trailers;
        let count = request.headers.len() as u32;
        let action = self.on(id, "proxy_on_request_headers", (id, count, u32::from(end)))?;
        let held = self.held(id, action, "the headers")?;
        Ok((id, held))
    }

    /// The rest of the request arrives. The answer is the most that was held back, in bytes.
    pub fn send(&mut self, id: u32, request: &Request, mut held: bool) -> Result<usize, Failure> {
        let mut most = 0;
        for (number, chunk) in request.body.iter().enumerate() {
            // While held back, Envoy shows the guest all that is buffered; later, each chunk.
            if !held {
                self.stream(id).body.clear();
            }
            self.stream(id).body.extend(chunk);
            let size = self.stream(id).body.len();
            let end = number + 1 == request.body.len() && !request.trailers;
            let params = (id, size as u32, u32::from(end));
            let action = self.on(id, "proxy_on_request_body", params)?;
            held = self.held(id, action, "the body")?;
            if held {
                most = most.max(size);
            }
        }
        if request.trailers {
            let action = self.on(id, "proxy_on_request_trailers", (id, 1))?;
            held = self.held(id, action, "the trailers")?;
        }
        if held {
            return Err(self.failure("the request was held back forever".into()));
        }
        Ok(most)
    }

    /// Envoy takes the request headers away from the guest as soon as it lets them go.
    fn held(&mut self, id: u32, action: u32, part: &str) -> Result<bool, Failure> {
        match action {
            PAUSE => Ok(true),
            CONTINUE => {
                self.stream(id).request.open = false;
                Ok(false)
            }
            other => Err(self.failure(format!("action {other} on {part}"))),
        }
    }

    /// The upstream answers, and the exchange ends.
    pub fn finish(&mut self, id: u32) -> Result<Exchange, Failure> {
        let words = br#"data: {"choices":[{"delta":{"content":"Yes."},"finish_reason":"stop"}]}"#;
        self.answer(id, "text/event-stream", &[words, b"\n\n", b"data: [DONE]\n\n"])
    }

    /// The upstream answers in these pieces, and the exchange ends.
    pub fn answer(
        &mut self,
        id: u32,
        content_type: &str,
        pieces: &[&[u8]],
    ) -> Result<Exchange, Failure> {
        let status = self.host().status.clone();
        let response = &mut self.stream(id).response;
        response.fields = fields(&[(":status", &status), ("content-type", content_type)]);
        response.open = true;
        let mut actions = vec![self.on(id, "proxy_on_response_headers", (id, 2, 0))?];
        self.stream(id).response.open = false;
        for piece in pieces {
            self.stream(id).response_body = piece.to_vec();
            let params = (id, piece.len() as u32, 0);
            actions.push(self.on(id, "proxy_on_response_body", params)?);
        }
        self.stream(id).response_body.clear();
        actions.push(self.on(id, "proxy_on_response_body", (id, 0, 1))?);
        // Writing to the body would trap: there is no such import.
        if actions.iter().any(|action| *action != CONTINUE) {
            return Err(self.failure("the response was held back".into()));
        }
        self.close(id)
    }

    /// The exchange ends, answered or not.
    pub fn close(&mut self, id: u32) -> Result<Exchange, Failure> {
        self.store.data_mut().active = id;
        self.call::<_, ()>("proxy_on_log", id)?;
        if self.on(id, "proxy_on_done", id)? != 1 {
            return Err(self.failure("proxy_on_done returned false".into()));
        }
        self.call::<_, ()>("proxy_on_delete", id)?;
        let mut stream = self.store.data_mut().streams.remove(&id).unwrap();
        let record = stream.filter_state.remove("pointsman");
        Ok(Exchange {
            request_headers: stream.request.fields,
            response_headers: stream.response.fields,
            record: record.map(|json| serde_json::from_slice(&json).unwrap()),
            foreign_calls: stream.foreign_calls,
            body: stream.body,
            held: 0,
        })
    }

    /// One request from its first header to the end of its response.
    pub fn exchange(&mut self, request: &Request) -> Result<Exchange, Failure> {
        let (id, held) = self.open(request)?;
        let most = self.send(id, request, held)?;
        let exchange = self.finish(id)?;
        Ok(Exchange { held: most, ..exchange })
    }
}
