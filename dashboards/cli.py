"""The command `dashboard`: the analysts' pages."""

from typing import Annotated

import typer

from collector.settings import CollectorSettings
from contract.cli_options import Config, DataDir
from contract.http_access import HttpSettings
from contract.settings import load
from dashboards.settings import DashboardSettings, SignIn
from warehouse.settings import WarehouseSettings

app = typer.Typer(help="The analysts' pages.", add_completion=False)


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one")] = 8501,
    host: Annotated[str, typer.Option(help="Address; others than 127.0.0.1 need sign-in and TLS")] = "127.0.0.1",
    engine: Annotated[
        str | None, typer.Option(help="The warehouse: duckdb, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Show the marts: fleet, shop, customers, deliveries, data quality. Build them by `milepost warehouse build`."""
    from dashboards.streamlit_app.server import make_server
    from dashboards.streamlit_app.source import DashboardSource

    collector = load("collector", CollectorSettings, config)
    collector = collector.model_copy(update={"data_dir": data_dir}) if data_dir else collector
    settings, marts = load("dashboard", DashboardSettings, config), load("warehouse", WarehouseSettings, config)
    chosen = engine or settings.engine
    marts = marts.model_copy(update={"engine": chosen}) if chosen else marts
    source = DashboardSource(collector.data_dir, settings.store or collector.store_url, marts, settings.refresh)
    http, users = load("http", HttpSettings, config), load("console", SignIn, config)
    server, listener = make_server(source, host, port, users, http)
    name = f"[{host}]" if ":" in host else host
    scheme = "https" if http.tls_certificate else "http"
    typer.echo(f"Dashboard: {scheme}://{name}:{listener.getsockname()[1]}/  (Ctrl-C ends it)")
    server.run(sockets=[listener])
