//! A CUDA device and its stream. Everything is queued on one stream, in order.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::result::DriverError;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DeviceRepr, ValidAsZeroBits, result};

use crate::device::DeviceError;

const DRIVER_NOT_THERE: &str = "the driver's library libcuda.so.1 is not there";

/// What a CUDA device says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaDevice {
    /// Number, as in `cuda:<n>`.
    pub ordinal: usize,
    /// Name.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// Memory, bytes.
    pub memory_bytes: usize,
}

/// The CUDA devices of this machine.
///
/// # Errors
/// [`DeviceError::Absent`] with the reason if the driver is missing or refuses.
pub fn devices() -> Result<Vec<CudaDevice>, DeviceError> {
    check_driver(0)?;
    let absent = |error| absent(0, &error);
    result::init().map_err(absent)?;
    let count = result::device::get_count().map_err(absent)?;
    let describe = |ordinal: usize| {
        let context = CudaContext::new(ordinal)?;
        Ok(CudaDevice {
            ordinal,
            name: context.name()?,
            compute_capability: context.compute_capability()?,
            memory_bytes: context.total_mem()?,
        })
    };
    (0..usize::try_from(count).unwrap_or(0))
        .map(|i| describe(i).map_err(absent))
        .collect()
}

/// Says so if there is no driver library, where otherwise loading it would panic.
#[cfg(not(feature = "cuda-fast"))]
fn check_driver(ordinal: usize) -> Result<(), DeviceError> {
    // SAFETY: only opens and closes the driver's library.
    if unsafe { cudarc::driver::sys::is_culib_present() } {
        return Ok(());
    }
    Err(DeviceError::Absent {
        ordinal,
        reason: DRIVER_NOT_THERE.into(),
    })
}

/// Says so if the driver's library is not there or refuses. The binary is linked with it, or with what looks for it when
/// the process starts and without it answers each call as the stub does.
#[cfg(feature = "cuda-fast")]
fn check_driver(ordinal: usize) -> Result<(), DeviceError> {
    use cudarc::driver::sys::CUresult::CUDA_ERROR_STUB_LIBRARY;
    match result::init() {
        Err(DriverError(CUDA_ERROR_STUB_LIBRARY)) => Err(DeviceError::Absent {
            ordinal,
            reason: DRIVER_NOT_THERE.into(),
        }),
        started => started.map_err(|error| absent(ordinal, &error)),
    }
}

fn absent(ordinal: usize, error: &DriverError) -> DeviceError {
    let reason = format!("{error:?}");
    DeviceError::Absent { ordinal, reason }
}

/// Turns a driver's error into ours.
pub(super) fn failed(doing: &'static str) -> impl Fn(DriverError) -> DeviceError {
    move |error| DeviceError::Failed {
        doing,
        reason: format!("{error:?}"),
    }
}

/// A stream of a device, and its memory.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) stream: Arc<CudaStream>,
}

impl Stream {
    /// The default stream of device `ordinal`.
    pub(super) fn open(ordinal: usize) -> Result<Self, DeviceError> {
        check_driver(ordinal)?;
        let context = CudaContext::new(ordinal).map_err(|error| absent(ordinal, &error))?;
        let stream = context.default_stream();
        Ok(Self { stream })
    }

    /// Bytes free on the device.
    pub(super) fn free_bytes(&self) -> Result<usize, DeviceError> {
        let (free, _) = self
            .stream
            .context()
            .mem_get_info()
            .map_err(failed("asking for free memory"))?;
        Ok(free)
    }

    /// Memory for `len` elements, zeroed.
    pub(super) fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, len: usize) -> Result<CudaSlice<T>, DeviceError> {
        // An empty allocation is an error to the driver.
        self.stream.alloc_zeros(len.max(1)).map_err(failed("allocating memory"))
    }

    /// A copy of `values` on the device.
    pub(super) fn upload<T: DeviceRepr + ValidAsZeroBits>(&self, values: &[T]) -> Result<CudaSlice<T>, DeviceError> {
        let mut slice = self.zeros(values.len())?;
        self.write(values, &mut slice)?;
        Ok(slice)
    }

    /// Copies `values` to the start of `slice`, which is long enough.
    pub(super) fn write<T: DeviceRepr>(&self, values: &[T], slice: &mut CudaSlice<T>) -> Result<(), DeviceError> {
        if values.is_empty() {
            return Ok(());
        }
        self.stream
            .memcpy_htod(values, slice)
            .map_err(failed("copying to the device"))
    }

    /// Copies the first `values.len()` elements of `slice` to the host and waits for them.
    pub(super) fn read<T: DeviceRepr>(&self, slice: &CudaSlice<T>, values: &mut [T]) -> Result<(), DeviceError> {
        if !values.is_empty() {
            let view = slice.slice(..values.len());
            self.stream
                .memcpy_dtoh(&view, values)
                .map_err(failed("copying from the device"))?;
        }
        self.stream.synchronize().map_err(failed("running the kernels"))
    }

    /// Makes room for `len` elements; what the slice held is lost if it grows.
    pub(super) fn grow<T: DeviceRepr + ValidAsZeroBits>(
        &self,
        slice: &mut CudaSlice<T>,
        len: usize,
    ) -> Result<(), DeviceError> {
        if slice.len() < len {
            *slice = self.zeros(len.next_power_of_two())?;
        }
        Ok(())
    }
}
