//! What Envoy calls: event hooks of ABI v0.1.0. A panic aborts Envoy: there is no sandbox.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::rc::Rc;

use pointsman_core::config::Config;
use pointsman_core::exchange::{Exchange, Flow, Worker};

use super::abi::{EnvoyBuffer, Stream, VERSION};
use super::host::Native;

const CONTINUE: c_int = 0;
/// Headers: stop here. Bodies: hold back and collect.
const STOP: c_int = 1;

/// A configuration, shared by all workers.
struct Configured {
    json: Vec<u8>,
}

/// One request.
struct Filter {
    worker: Rc<Worker>,
    exchange: Exchange,
}

thread_local! {
    /// Each worker thread has its own, as each has a VM of its own with wasm.
    static WORKERS: RefCell<HashMap<usize, Rc<Worker>>> = RefCell::default();
}

fn worker(json: &[u8]) -> Option<Worker> {
    Worker::new(Config::from_json(json).ok()?).ok()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    VERSION.as_ptr()
}

/// # Safety
///
/// Envoy calls it, with its own configuration as `config`.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    _envoy: *mut c_void,
    _name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> *const c_void {
    // SAFETY: the configuration is valid until this function returns.
    let json = unsafe { config.to_vec() };
    if worker(&json).is_none() {
        return std::ptr::null();
    }
    Box::into_raw(Box::new(Configured { json })).cast_const().cast()
}

/// # Safety
///
/// Envoy calls it once, with what `config_new` returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void) {
    // SAFETY: it was a box (`config_new`), and nobody uses it any longer.
    drop(unsafe { Box::from_raw(config.cast_mut().cast::<Configured>()) });
}

/// # Safety
///
/// Envoy calls it, with what `config_new` returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const c_void,
    _envoy: *mut c_void,
) -> *const c_void {
    // SAFETY: Envoy keeps the configuration as long as it has filters.
    let configured = unsafe { &*config.cast::<Configured>() };
    let worker = WORKERS.with_borrow_mut(|workers| {
        let known = workers.get(&config.addr()).map(Rc::clone);
        known.or_else(|| {
            let new = Rc::new(worker(&configured.json)?);
            workers.insert(config.addr(), Rc::clone(&new));
            Some(new)
        })
    });
    let Some(worker) = worker else { return std::ptr::null() };
    Box::into_raw(Box::new(Filter { worker, exchange: Exchange::default() })).cast_const().cast()
}

/// # Safety
///
/// Envoy calls it once, with what `filter_new` returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(filter: *const c_void) {
    // SAFETY: it was a box (`filter_new`), and nobody uses it any longer.
    drop(unsafe { Box::from_raw(filter.cast_mut().cast::<Filter>()) });
}

/// # Safety
///
/// `envoy` is the stream of the callback that is running, `filter` what `filter_new` returned for it.
unsafe fn both<'f>(envoy: *mut c_void, filter: *const c_void) -> (Native, &'f mut Filter) {
    // SAFETY: a stream's callbacks are made one after another on one thread, so nobody else has the
    // filter, and the stream outlives the callback.
    unsafe { (Native { stream: Stream::new(envoy) }, &mut *filter.cast_mut().cast::<Filter>()) }
}

fn status(flow: Flow) -> c_int {
    match flow {
        Flow::Continue => CONTINUE,
        Flow::Pause => STOP,
    }
}

/// Hooks of a stream: Envoy calls each with a stream and its filter.
macro_rules! hooks {
    ($($name:ident($host:ident, $filter:ident $(, $ended:ident)?) $body:block)+) => {$(
        /// # Safety
        ///
        /// Envoy calls it, as [`both`] needs it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            envoy: *mut c_void,
            filter: *const c_void,
            $($ended: bool,)?
        ) -> c_int {
            // SAFETY: the caller is Envoy.
            let ($host, $filter) = unsafe { both(envoy, filter) };
            $body
        }
    )+};
}

hooks! {
    envoy_dynamic_module_on_http_filter_request_headers(host, filter, ended) {
        status(filter.exchange.on_request_headers(&filter.worker, &host, ended))
    }
    envoy_dynamic_module_on_http_filter_request_body(host, filter, ended) {
        let size = host.request_size();
        status(filter.exchange.on_request_body(&filter.worker, &host, size, ended))
    }
    envoy_dynamic_module_on_http_filter_request_trailers(host, filter) {
        status(filter.exchange.on_request_trailers(&filter.worker, &host))
    }
    envoy_dynamic_module_on_http_filter_response_headers(host, filter, ended) {
        filter.exchange.on_response_headers(&filter.worker, &host, ended);
        CONTINUE
    }
    envoy_dynamic_module_on_http_filter_response_body(host, filter, ended) {
        let size = host.response_size();
        filter.exchange.on_response_body(&filter.worker, &host, size, ended);
        CONTINUE
    }
    envoy_dynamic_module_on_http_filter_response_trailers(_host, filter) {
        filter.exchange.on_response_trailers();
        CONTINUE
    }
    // Envoy does not read what this one returns.
    envoy_dynamic_module_on_http_filter_stream_complete(host, filter) {
        filter.exchange.on_end(&filter.worker, &host);
        CONTINUE
    }
}

/// Hooks that Envoy looks up at load and never calls here: no callout is made, nothing is scheduled, and
/// whoever sends too fast is slowed down by Envoy.
macro_rules! unused {
    ($($name:ident($($argument:ty),*);)+) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: *mut c_void, _: *const c_void $(, _: $argument)*) {}
    )+};
}

unused! {
    envoy_dynamic_module_on_http_filter_http_callout_done(
        u64, c_int, *const c_void, usize, *const c_void, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_headers(u64, *const c_void, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(u64, *const c_void, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(u64, *const c_void, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(u64, c_int);
    envoy_dynamic_module_on_http_filter_scheduled(u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark();
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark();
}
