//! What to link with in place of CUDA's shared libraries: archives whose functions jump into the library that the process
//! has found at its start, and without it fail with a code of the library. A program linked so starts on a machine without
//! CUDA, and carries none of its gigabyte.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::kernels::write_if_new;
use super::libcuda::{STUB_LIBRARY, compile, functions};
use crate::repo;

/// A library: its name to the linker, its file to the system, and what its functions return without it.
pub(super) struct Library {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) code: u32,
}

/// Those that candle calls. Its other, cublasLt, it only names.
pub(super) const LIBRARIES: [Library; 4] = [
    Library {
        name: "cuda",
        file: "libcuda.so.1",
        code: STUB_LIBRARY,
    },
    // CUBLAS_STATUS_NOT_INITIALIZED.
    Library {
        name: "cublas",
        file: "libcublas.so.13",
        code: 1,
    },
    // CURAND_STATUS_INITIALIZATION_FAILED.
    Library {
        name: "curand",
        file: "libcurand.so.10",
        code: 203,
    },
    // NVRTC_ERROR_INTERNAL_ERROR.
    Library {
        name: "nvrtc",
        file: "libnvrtc.so.13",
        code: 11,
    },
];

/// The source of an archive, before and after the lists of its functions.
const HEAD: &str = r#"/* Made by `cargo xtask cuda-toolchain` from the names in cudarc. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static int failing(void) { return CODE; }
static const char *nameless(void) { return "the library is not there"; }
extern void *TABLE[] __attribute__((visibility("hidden")));
static const char *const names[] = {
"#;
const MIDDLE: &str = r#"};
void *TABLE[sizeof names / sizeof *names] __attribute__((visibility("hidden"), used));

/* Functions that give text and not a code. */
static int gives_text(const char *name) {
    return strcmp(name, "cublasGetStatusName") == 0 || strcmp(name, "cublasGetStatusString") == 0 ||
           strcmp(name, "nvrtcGetErrorString") == 0;
}

__attribute__((constructor(101))) static void find(void) {
    void *library = dlopen(FILE_NAME, RTLD_LAZY | RTLD_GLOBAL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *found = library ? dlsym(library, names[i]) : NULL;
        TABLE[i] = found ? found : gives_text(names[i]) ? (void *)nameless : (void *)failing;
    }
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#if defined(__x86_64__)
#define JUMP(at) "jmp *" TEXT(TABLE) "+" at "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(at) "adrp x16, " TEXT(TABLE) "+" at "\nldr x16, [x16, #:lo12:" TEXT(TABLE) "+" at "]\nbr x16\n"
#else
#error "only x86-64 and aarch64 have CUDA"
#endif
#define ENTRY(name, at) __asm__(".text\n.globl " #name "\n.type " #name ", %function\n" #name ":\n" JUMP(at));
"#;

/// Makes the archives of `libraries` in `folder`, and the files by which the linker finds them in `lib`.
pub(super) fn make(folder: &Path, lib: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = std::path::absolute(folder)?;
    for library in &LIBRARIES {
        let names = functions(library.name)?;
        let archive = folder.join(format!("lib{}_deferred.a", library.name));
        let (from, object) = (
            folder.join(format!("{}.c", library.name)),
            folder.join(format!("{}.o", library.name)),
        );
        if write_if_new(&from, &source(library, &names))? || !archive.is_file() {
            compile("CC", "cc", &["-O1", "-c", "-fPIC"], &[from.as_os_str()], &object)?;
            let _ = fs::remove_file(&archive);
            repo::run(Command::new("ar").arg("crs").arg(&archive).arg(&object)).context("ar makes archives")?;
        }
        link_as(lib, library.name, &archive.display().to_string())?;
        println!("{} with {} functions", archive.display(), names.len());
    }
    // Small enough to be inside; it looks for the driver's library by itself.
    let cudart = lib.join("libcudart_static.a");
    if !cudart.is_file() {
        bail!("{} is not there", cudart.display());
    }
    let cudart = std::path::absolute(cudart)?;
    link_as(lib, "cudart", &format!("{} -ldl -lrt -lpthread", cudart.display()))
}

/// The file that `-l<name>` finds: it names what to link with.
fn link_as(lib: &Path, name: &str, inputs: &str) -> anyhow::Result<()> {
    let path = lib.join(format!("lib{name}.so"));
    if path.is_symlink() {
        fs::remove_file(&path)?;
    }
    write_if_new(&path, &format!("INPUT({inputs})\n"))?;
    Ok(())
}

pub(super) fn source(library: &Library, names: &[String]) -> String {
    let mut text = format!(
        "#define CODE {}\n#define FILE_NAME \"{}\"\n#define TABLE svs_deferred_{}\n{HEAD}",
        library.code, library.file, library.name
    );
    for name in names {
        let _ = writeln!(text, "    \"{name}\",");
    }
    text += MIDDLE;
    for (at, name) in names.iter().enumerate() {
        let _ = writeln!(text, "ENTRY({name}, \"{}\")", 8 * at);
    }
    text
}
