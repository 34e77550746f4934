//! Sleeping: the memory of the KV cache and of the step's buffers goes back to the system, and comes back on waking.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::engine::Engine;
use super::handle::{EngineHandle, stopped};
use super::memory;
use super::pause::PauseMode;
use super::thread::Command;
use crate::error::EngineError;
use crate::model::Executor;

impl Engine {
    /// Whether its memory is released; nothing may step then.
    pub(super) fn is_asleep(&self) -> bool {
        self.executor.is_none()
    }

    /// Drops all KV, the cache's memory and the buffers. Requests that are there compute their KV anew afterwards.
    pub(super) fn fall_asleep(&mut self) {
        self.scheduler.clear_kv();
        self.executor = None;
        (self.logits, self.states) = (Vec::new(), Vec::new());
    }

    /// Takes the memory again.
    ///
    /// # Errors
    /// [`EngineError::Device`].
    pub(super) fn wake(&mut self) -> Result<(), EngineError> {
        if self.is_asleep() {
            let (device, mode, blocks) = self.place;
            let policy = self.store.policy();
            self.executor = Some(Executor::new(device, mode, &policy, blocks)?);
        }
        Ok(())
    }
}

impl EngineHandle {
    /// Pauses as `mode` says and then gives the memory of the KV cache back; on a device that of the weights' copies too.
    /// From the beginning on new requests are refused with [`EngineError::Asleep`]; those that a pause keeps go on, with
    /// the same tokens, some time after [`Self::wake`]: the pause stands until [`Self::resume`].
    ///
    /// # Errors
    /// [`EngineError::Resumed`], [`EngineError::Overloaded`], [`EngineError::Stopped`]: it does not sleep then.
    pub async fn sleep(&self, mode: PauseMode) -> Result<(), EngineError> {
        let asleep = Falling(self);
        self.set_asleep(true);
        self.pause(mode, true).await?;
        let (reply, done) = oneshot::channel();
        self.command(Command::Sleep { reply })?;
        done.await.map_err(|_| stopped())?;
        std::mem::forget(asleep);
        Ok(())
    }

    /// Takes the memory again, so that generation may go on.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] with the arithmetic, [`EngineError::Device`], [`EngineError::Overloaded`],
    /// [`EngineError::Stopped`]: it sleeps on then.
    pub async fn wake(&self) -> Result<(), EngineError> {
        let kv = self.weights().policy().storage.kv;
        memory::plan(self.config(), self.model(), kv).map_err(|error| EngineError::NoRoom(error.to_string()))?;
        let (reply, done) = oneshot::channel();
        self.command(Command::Wake { reply })?;
        done.await.map_err(|_| stopped())??;
        self.set_asleep(false);
        Ok(())
    }

    /// Whether it sleeps, or is falling asleep.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.shared().asleep.load(Ordering::Acquire)
    }

    fn set_asleep(&self, asleep: bool) {
        self.shared().asleep.store(asleep, Ordering::Release);
    }
}

/// Takes new requests again if falling asleep fails or nobody waits for it any more.
struct Falling<'a>(&'a EngineHandle);

impl Drop for Falling<'_> {
    fn drop(&mut self) {
        self.0.set_asleep(false);
    }
}
