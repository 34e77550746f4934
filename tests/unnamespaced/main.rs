//! A launcher of programs on a machine that gives neither namespaces nor root.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Who it is instead of root.
const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    match give_up().and_then(|()| Ok(svs_verifier::sandbox::run_launcher()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn give_up() -> Result<(), Box<dyn std::error::Error>> {
    let flag = u64::try_from(libc::CLONE_NEWUSER)?;
    let asks = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
    let rules = BTreeMap::from([(libc::SYS_clone, vec![SeccompRule::new(vec![asks])?])]);
    let refused = SeccompAction::Errno(u32::try_from(libc::EPERM)?);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?;
    apply_filter(&BpfProgram::try_from(filter)?)?;
    if geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[])?;
        set_thread_res_gid(Some(group), Some(group), Some(group))?;
        set_thread_res_uid(Some(user), Some(user), Some(user))?;
    }
    Ok(())
}
