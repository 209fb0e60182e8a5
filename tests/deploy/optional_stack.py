"""One of the optional stacks, deployed by CloudFormation to a ministack; its functions find the code in this
environment, so that its bundle is empty."""

import io
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.waiting import until


def deploy_optional(
    client: Callable[[str], Any], name: str, text: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """The stack's outputs.

    Args:
        client: of a service's name.
        name: the stack's, which no other has.
        text: the template; `CodeUri: FOLDER/` is put right.
        parameters: of the template, but for Runtime and Architecture.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("unused.py", "")
    s3, cloudformation = client("s3"), client("cloudformation")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="bundle.zip", Body=packed.getvalue())
    before, _, rest = text.partition("CodeUri: ")
    folder, _, rest = rest.partition("\n")
    assert folder.endswith("/"), folder
    given = {"Runtime": f"python3.{sys.version_info.minor}", "Architecture": "x86_64", **parameters}
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=f"{before}CodeUri: s3://{name}/bundle.zip\n{rest}",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    def made() -> Any:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = until(made)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


class Api:
    """The HTTP API of a stack's function, which is found by its host name; ministack leaves out the routes of a
    template, so that one is added.

    Args:
        url: of the ministack.
        client: of a service's name.
        address: the stack's output.
        function: the function's name.
    """

    def __init__(self, url: str, client: Callable[[str], Any], address: str, function: str) -> None:
        self._url, self._host = url, address.removeprefix("http://").partition(":")[0]
        api, name = client("apigatewayv2"), self._host.partition(".")[0]
        made = client("lambda").get_function_configuration(FunctionName=function)
        integration = api.create_integration(
            ApiId=name, IntegrationType="AWS_PROXY", IntegrationUri=made["FunctionArn"], PayloadFormatVersion="2.0"
        )
        api.create_route(ApiId=name, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request.

        Args:
            method: of HTTP.
            path: with its query.
            body: sent as JSON.
            headers: names with `_` for `-`.
        """
        given = {"host": self._host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.request(method, self._url + path, json=body, headers=given, timeout=60, trust_env=False)
