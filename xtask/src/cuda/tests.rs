use std::path::Path;
use std::process::Command;

use super::deferred::{self, LIBRARIES};
use super::gpu_check::executable;
use super::kernels::{included, names, source};
use super::libcuda::{function_names, weak_source};
use super::toolchain::PACKAGES;

#[test]
fn the_source_of_the_kernels_is_the_engines() {
    let list = "include_str!(\"kernels/a.cu\"), include_str!(\"kernels/b.cu\"), include_str!(env!(\"X\"))";
    assert_eq!(included(list), ["kernels/a.cu", "kernels/b.cu"]);
    let source = source().unwrap();
    for name in ["attention_f32", "linear_f32_8", "rms_norm"] {
        assert!(source.kernels.iter().any(|kernel| kernel == name), "{name}");
    }
}

#[test]
fn kernels_have_names() {
    let text = "extern \"C\" __global__ void a(int x) {}\nvoid b();\nextern \"C\" __global__ void c(\n int x) {}";
    assert_eq!(names(text), ["a", "c"]);
}

#[test]
fn each_function_of_a_library_is_found_once() {
    let bindings = "pub unsafe fn cuInit(Flags: u32) -> CUresult {\n    pub unsafe fn cuCtxGet() {}\n\
        pub unsafe fn cuInit(x: u32)\npub unsafe fn culib() {}\npub fn cuOther()\npub unsafe fn cublasCreate_v2() {";
    let found = function_names(bindings, "cu");
    assert_eq!(found, ["cuCtxGet", "cuInit"]);
    assert_eq!(function_names(bindings, "cublas"), ["cublasCreate_v2"]);
    assert!(weak_source(&found).contains("int cuInit(void) { return 34; }\n"));
}

#[test]
fn a_deferred_library_calls_the_one_that_is_there_and_else_fails() {
    // libm stands for a library of CUDA; nothing has the second one's file.
    let folder = tempfile::tempdir().unwrap();
    let names = ["cos".to_owned(), "nosuchfunction".to_owned()];
    for (file, expected) in [("libm.so.6", "1 9"), ("libnosuch.so.0", "9 9")] {
        let library = deferred::Library {
            name: "test",
            file,
            code: 9,
        };
        let (deferred, main) = (folder.path().join("deferred.c"), folder.path().join("main.c"));
        std::fs::write(&deferred, deferred::source(&library, &names)).unwrap();
        let text = if file == "libm.so.6" { "double" } else { "int" };
        std::fs::write(
            &main,
            format!(
                "#include <stdio.h>\n{text} cos(double);\nint nosuchfunction(void);\n\
                 int main(void) {{ printf(\"%d %d\", (int)cos(0.0), nosuchfunction()); }}\n"
            ),
        )
        .unwrap();
        let program = folder.path().join("program");
        let compiled = Command::new("cc")
            .args(["-fno-builtin", "-w", "-o"])
            .args([&program, &main, &deferred])
            .status()
            .unwrap();
        assert!(compiled.success());
        let said = Command::new(&program).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), expected, "{file}");
    }
}

#[test]
fn deferred_libraries_have_names_of_their_own() {
    for library in &LIBRARIES {
        assert!(deferred::source(library, &[]).contains(&format!("svs_deferred_{}", library.name)));
    }
}

#[test]
fn the_device_tests_are_found_among_cargos_messages() {
    let messages = "{\"target\":{\"name\":\"svs\"},\"executable\":\"x\"}\nnot json\n\
        {\"target\":{\"name\":\"devices\"},\"executable\":null}\n\
        {\"target\":{\"name\":\"devices\"},\"executable\":\"deps/devices-1\"}";
    assert_eq!(executable(messages).as_deref(), Some(Path::new("deps/devices-1")));
    assert_eq!(executable(""), None);
}

#[test]
fn every_package_is_pinned() {
    for (name, version) in PACKAGES {
        assert!(version.split('.').count() >= 3, "{name} {version}");
    }
}
