//! Envoy's dynamic module ABI, version v0.1.0, as far as it is used here.
//!
//! Envoy 1.39 has this version. 1.40 has v0.2.0, with the same functions, and warns that this one is
//! deprecated: a module loads in the minor version after the one it was built for, and no further.

use std::ffi::{c_char, c_int, c_void};

/// What a module must answer when it is loaded.
pub const VERSION: &std::ffi::CStr = c"v0.1.0";

/// Bytes of Envoy's, valid until the next call that changes what they belong to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EnvoyBuffer {
    ptr: *const c_char,
    length: usize,
}

/// Bytes of ours, which Envoy copies.
#[repr(C)]
#[derive(Clone, Copy)]
struct ModuleBuffer {
    ptr: *const c_char,
    length: usize,
}

/// `envoy_dynamic_module_type_http_header_type`.
#[derive(Clone, Copy)]
pub enum Headers {
    Request = 0,
    Response = 2,
}

/// `envoy_dynamic_module_type_http_body_type`: the piece that has just come, and what is held back.
#[derive(Clone, Copy)]
pub enum Body {
    ReceivedRequest = 0,
    BufferedRequest = 1,
    ReceivedResponse = 2,
}

/// `envoy_dynamic_module_type_metadata_source`.
#[derive(Clone, Copy)]
pub enum Metadata {
    Route = 1,
    Host = 3,
}

unsafe extern "C" {
    fn envoy_dynamic_module_callback_http_get_header(
        stream: *mut c_void,
        headers: c_int,
        key: ModuleBuffer,
        result: *mut EnvoyBuffer,
        index: usize,
        count: *mut usize,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(
        stream: *mut c_void,
        headers: c_int,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_body_size(stream: *mut c_void, body: c_int) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks_size(
        stream: *mut c_void,
        body: c_int,
    ) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks(
        stream: *mut c_void,
        body: c_int,
        result: *mut EnvoyBuffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_metadata_string(
        stream: *mut c_void,
        source: c_int,
        namespace: ModuleBuffer,
        key: ModuleBuffer,
        result: *mut EnvoyBuffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
        stream: *mut c_void,
        key: ModuleBuffer,
        value: ModuleBuffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_clear_route_cache(stream: *mut c_void);
}

impl EnvoyBuffer {
    const EMPTY: Self = Self { ptr: std::ptr::null(), length: 0 };

    /// A copy of the bytes.
    ///
    /// # Safety
    ///
    /// They are still valid.
    pub unsafe fn to_vec(self) -> Vec<u8> {
        if self.ptr.is_null() {
            return Vec::new();
        }
        // SAFETY: Envoy gave pointer and length together, and the caller vouches for the time.
        unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.length) }.to_vec()
    }
}

impl From<&[u8]> for ModuleBuffer {
    fn from(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr().cast(), length: bytes.len() }
    }
}

/// A stream of Envoy's, inside a callback that it made for it.
pub struct Stream {
    raw: *mut c_void,
}

impl Stream {
    /// # Safety
    ///
    /// `raw` is the stream of the callback that is running, and this value does not outlive it.
    pub unsafe fn new(raw: *mut c_void) -> Self {
        Self { raw }
    }

    pub fn header(&self, headers: Headers, name: &str) -> Option<Vec<u8>> {
        let (mut value, mut count) = (EnvoyBuffer::EMPTY, 0);
        // SAFETY: the stream lives (`new`), and all other pointers are to values of this function. The
        // value is copied before anything else is called.
        unsafe {
            envoy_dynamic_module_callback_http_get_header(
                self.raw,
                headers as c_int,
                name.as_bytes().into(),
                &raw mut value,
                0,
                &raw mut count,
            )
            .then(|| value.to_vec())
        }
    }

    /// Sets a header over all of that name; `None` removes them.
    pub fn set_header(&self, headers: Headers, name: &str, value: Option<&str>) {
        let none = ModuleBuffer { ptr: std::ptr::null(), length: 0 };
        let value = value.map_or(none, |value| value.as_bytes().into());
        // SAFETY: as in `header`; Envoy copies what it is given.
        unsafe {
            envoy_dynamic_module_callback_http_set_header(
                self.raw,
                headers as c_int,
                name.as_bytes().into(),
                value,
            );
        }
    }

    pub fn body_size(&self, body: Body) -> usize {
        // SAFETY: the stream lives (`new`).
        unsafe { envoy_dynamic_module_callback_http_get_body_size(self.raw, body as c_int) }
    }

    /// Appends a part of a body.
    pub fn read_body(&self, body: Body, out: &mut Vec<u8>) {
        // SAFETY: the stream lives (`new`), the vector has as many places as Envoy says that it fills,
        // and nothing changes the body before the pieces are copied.
        unsafe {
            let count =
                envoy_dynamic_module_callback_http_get_body_chunks_size(self.raw, body as c_int);
            let mut chunks = vec![EnvoyBuffer::EMPTY; count];
            if count > 0
                && envoy_dynamic_module_callback_http_get_body_chunks(
                    self.raw,
                    body as c_int,
                    chunks.as_mut_ptr(),
                )
            {
                chunks.into_iter().for_each(|chunk| out.extend(chunk.to_vec()));
            }
        }
    }

    pub fn metadata(&self, source: Metadata, key: &str) -> Option<Vec<u8>> {
        let mut value = EnvoyBuffer::EMPTY;
        // SAFETY: as in `header`.
        unsafe {
            envoy_dynamic_module_callback_http_get_metadata_string(
                self.raw,
                source as c_int,
                b"pointsman".as_slice().into(),
                key.as_bytes().into(),
                &raw mut value,
            )
            .then(|| value.to_vec())
        }
    }

    pub fn set_filter_state(&self, key: &str, value: &str) {
        // SAFETY: the stream lives (`new`); Envoy copies what it is given.
        unsafe {
            envoy_dynamic_module_callback_http_set_filter_state_bytes(
                self.raw,
                key.as_bytes().into(),
                value.as_bytes().into(),
            );
        }
    }

    pub fn clear_route_cache(&self) {
        // SAFETY: the stream lives (`new`).
        unsafe { envoy_dynamic_module_callback_http_clear_route_cache(self.raw) }
    }
}
