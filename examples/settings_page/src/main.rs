//! Run it, and open the address that it prints:
//!
//! ```text
//! cargo run -p settings_page
//! ```
//!
//! It listens on 127.0.0.1, on port 3000 unless you set the variable `PORT`; with 0, on any port. The keys are in
//! memory; with `--store keys.db` they are in that file. `--test-states` is for the tests in a browser.

use std::{env, error::Error, io::Write, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use settings_page::{
    Service,
    accounts::{PEOPLE, Person},
    states,
};
use tokio::{net::TcpListener, time::interval};
use tower_api_keys::store::Ledger;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = bound.map_err(|error| format!("cannot listen on PORT={port}: {error}"))?;
    let address = listener.local_addr()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run(Service::in_memory(address).await?, listener, address).await,
        ["--store", path] => run(Service::in_file(path, address).await?, listener, address).await,
        ["--test-states"] => serve(states::app(address).await?, listener, address).await,
        _ => Err("the arguments are: nothing, --store PATH, or --test-states".into()),
    }
}

/// Serves until Ctrl-C. Meanwhile the jobs call the API every two seconds.
async fn run<S: Ledger>(service: Service<S>, listener: TcpListener, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let (jobs, api) = (Arc::clone(&service.jobs), service.api.clone());
    tokio::spawn(async move {
        let mut turns = interval(Duration::from_secs(2));
        loop {
            turns.tick().await;
            jobs.run(&api).await;
        }
    });
    serve(service.app, listener, address).await?;
    service.keys.shutdown().await?;
    Ok(())
}

async fn serve(app: Router, listener: TcpListener, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "Listening on http://{address} until you press Ctrl-C. Sign in as")?;
    for Person { customer, id, name, role, .. } in PEOPLE.iter().filter(|person| !person.has_left) {
        writeln!(out, "    http://{address}/sign-in/{customer}/{id}   {name}, {} at {customer}", role.name())?;
    }
    writeln!(out, "Rotate a key there, and install the new one at http://{address}/jobs.")?;
    out.flush()?;
    axum::serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
