use std::path::Path;

use super::gpu_check::executable;
use super::kernels::{included, names, source};
use super::libcuda::{function_names, stub_source};
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
fn the_stub_has_each_function_of_the_driver_once() {
    let bindings = "pub unsafe fn cuInit(Flags: u32) -> CUresult {\n    pub unsafe fn cuCtxGet() {}\n\
        pub unsafe fn cuInit(x: u32)\npub unsafe fn culib() {}\npub fn cuOther()";
    let found = function_names(bindings);
    assert_eq!(found, ["cuCtxGet", "cuInit"]);
    assert!(stub_source(&found).ends_with("int cuInit(void) { return 34; }\n"));
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
