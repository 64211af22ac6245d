//! Python's buffers (memoryviews, bytearrays, arrays) as slices.
//!
//! The buffer protocol came into the stable ABI with Python 3.11, but its functions and `Py_buffer`
//! are the same in 3.10, so they are declared here: one wheel serves 3.10 and later.
#![expect(unsafe_code, reason = "a buffer's memory belongs to Python")]

use pyo3::{Bound, PyAny, PyErr, PyResult, exceptions::PyBufferError, ffi::PyObject};
use std::{
    ffi::{c_char, c_int, c_void},
    ptr,
};

/// `PyBUF_SIMPLE`: one run of bytes without gaps.
const SIMPLE: c_int = 0;
/// `PyBUF_WRITABLE`: the same, to be written.
const WRITABLE: c_int = 1;

/// `Py_buffer` of CPython 3.10 and of the stable ABI since 3.11 (Include/pybuffer.h).
#[repr(C)]
struct View {
    buf: *mut c_void,
    obj: *mut PyObject,
    len: isize,
    itemsize: isize,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

unsafe extern "C" {
    fn PyObject_GetBuffer(object: *mut PyObject, view: *mut View, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut View);
}

/// A buffer held by us: its memory stays where it is until this is dropped.
pub struct Buffer(Box<View>);

// SAFETY: the exporter keeps the memory in place while the view is held, and only `drop`, which
// takes the interpreter's lock, touches Python.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads plain fields and the memory itself.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Holds a buffer to read from.
    pub fn readable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::hold(object, SIMPLE)
    }

    /// Holds a buffer to write into. The caller leaves its bytes alone until this is dropped.
    pub fn writable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::hold(object, WRITABLE)
    }

    fn hold(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = Box::new(View {
            buf: ptr::null_mut(),
            obj: ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 0,
            ndim: 0,
            format: ptr::null_mut(),
            shape: ptr::null_mut(),
            strides: ptr::null_mut(),
            suboffsets: ptr::null_mut(),
            internal: ptr::null_mut(),
        });
        // SAFETY: the object is alive, the view is ours to be filled, and the lock is held.
        if unsafe { PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) } == 0 {
            return Ok(Self(view));
        }
        Err(PyErr::take(object.py()).unwrap_or_else(|| PyBufferError::new_err("no buffer")))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        if self.len() == 0 {
            return &[];
        }
        // SAFETY: the exporter promises `len` bytes at `buf` while the view is held.
        unsafe { std::slice::from_raw_parts(self.0.buf.cast(), self.len()) }
    }

    /// Its bytes, to be written; none of a buffer that was held to read from.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.len() == 0 || self.0.readonly != 0 {
            return &mut [];
        }
        // SAFETY: as above, the exporter gave it as writable, and who gave it to us leaves it alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.buf.cast(), self.len()) }
    }

    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        usize::try_from(self.0.len).unwrap_or(0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        pyo3::Python::attach(|_| {
            // SAFETY: the view was filled by PyObject_GetBuffer and is released once, with the lock.
            unsafe { PyBuffer_Release(&raw mut *self.0) }
        });
    }
}
