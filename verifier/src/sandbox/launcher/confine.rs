//! What the program gives up before it is replaced by what is to be run.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::root::{DEVICES, Root};
use super::users::Users;
use crate::sandbox::job::{Job, Limits};
use crate::sandbox::protections::Protections;

/// Open files of a program.
const MAX_FILES: u64 = 64;
/// Stack of a program's first thread; others get as much, of the memory that they are counted against.
const STACK_BYTES: u64 = 16 << 20;
/// The newest version of Landlock that is asked for; an older kernel gives what it has.
const LANDLOCK: ABI = ABI::V6;

/// Gives up everything but the right to run; notes what holds from now on.
pub(super) fn give_up(job: &Job, users: Users, root: &Root, holding: &mut Protections) -> io::Result<()> {
    if let Some(processes) = &root.processes {
        // The kernel is to end this process before any other of the machine when memory runs out.
        processes.write("self/oom_score_adj", "1000");
    }
    set_limits(&job.limits)?;
    holding.limits = true;
    holding.process_limit = users.are_counted();
    drop_bounding_set();
    if let Some(user) = users.program() {
        let (uid, gid) = (
            rustix::process::Uid::from_raw(user),
            rustix::process::Gid::from_raw(user),
        );
        set_thread_groups(&[])?;
        set_thread_res_gid(Some(gid), Some(gid), Some(gid))?;
        set_thread_res_uid(Some(uid), Some(uid), Some(uid))?;
    }
    drop_capabilities()?;
    // A change of user forgets it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    holding.no_privileges = true;
    holding.landlock = keep_from_files(job, root);
    Ok(())
}

fn set_limits(limits: &Limits) -> io::Result<()> {
    let seconds = limits.cpu_ms.div_ceil(1000).max(1);
    let bounds = [
        // A second between the limits: the first signal can be told from a kill by the watch, the second not be caught.
        (Resource::Cpu, seconds, seconds + 1),
        (Resource::Data, limits.memory_bytes, limits.memory_bytes),
        // Files that are mapped take addresses too.
        (
            Resource::As,
            limits.memory_bytes + (1 << 30),
            limits.memory_bytes + (1 << 30),
        ),
        (Resource::Fsize, limits.disk_bytes, limits.disk_bytes),
        (Resource::Nproc, limits.processes, limits.processes),
        (Resource::Nofile, MAX_FILES, MAX_FILES),
        (Resource::Stack, STACK_BYTES, STACK_BYTES),
        (Resource::Core, 0, 0),
        (Resource::Memlock, 0, 0),
        (Resource::Msgqueue, 0, 0),
    ];
    for (resource, soft, hard) in bounds {
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            current: Some(soft.min(most)),
            maximum: Some(hard.min(most)),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Takes every capability out of what a program may ever get. Those that the kernel does not know are none.
fn drop_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Gives up the capabilities that the namespace gave.
pub(super) fn drop_capabilities() -> io::Result<()> {
    let _ = clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, none)?)
}

/// Landlock: reads what is shown, writes into its folder, reaches no port and no process outside.
fn keep_from_files(job: &Job, root: &Root) -> bool {
    let all = AccessFs::from_all(LANDLOCK);
    let read = AccessFs::from_read(LANDLOCK);
    let devices = DEVICES.iter().map(|name| Path::new("/dev").join(name));
    let shown = job.visible.iter().filter(|path| path.exists());
    let ruled = || -> Result<RulesetStatus, landlock::RulesetError> {
        let status = Ruleset::default()
            .handle_access(all)?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .add_rules(path_beneath_rules(shown, read))?
            .add_rules(path_beneath_rules(devices, AccessFs::ReadFile | AccessFs::WriteFile))?
            .add_rules(path_beneath_rules([&root.home], all))?
            .restrict_self()?;
        Ok(status.ruleset)
    };
    ruled().is_ok_and(|status| status != RulesetStatus::NotEnforced)
}
