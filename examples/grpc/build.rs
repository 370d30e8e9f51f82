//! Generates the service and its client. What a `.proto` file would say is said here instead, so that nobody needs
//! `protoc` to run an example; a service with a `.proto` file calls `tonic_prost_build::compile_protos` in its place.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let who_am_i = Method::builder()
        .name("who_am_i")
        .route_name("WhoAmI")
        .input_type("crate::WhoAmIRequest")
        .output_type("crate::WhoAmIReply")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let callers = Service::builder().name("Callers").package("example").method(who_am_i).build();
    Builder::new().compile(&[callers]);
}
