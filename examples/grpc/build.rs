//! Generates the service and its client. The service is described here and not in a `.proto` file, so that you can run
//! the example without `protoc`. A service with a `.proto` file calls `tonic_prost_build::compile_protos` instead.

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
