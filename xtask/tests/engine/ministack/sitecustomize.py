# Python runs this before the emulator: some of its answers differ from AWS's, and are corrected where they are made.
import asyncio
import importlib.abc
import importlib.util
import json
import os
import sys


def provisioners(module):
    """A task definition that CloudFormation makes has its secrets under names that ECS does not know."""
    made = module._normalize_container_defs

    def corrected(definitions):
        result = made(definitions)
        for definition in result:
            secrets = definition.get("secrets") or []
            definition["secrets"] = [{key[0].lower() + key[1:]: value for key, value in one.items()} for one in secrets]
        return result

    module._normalize_container_defs = corrected
    if "TEST_DATABASE" in os.environ:
        databases(module)


def databases(module):
    """A database that CloudFormation makes is a record only: it is the one that the test has started."""
    host, port = os.environ["TEST_DATABASE"].split(":")
    attributes, text = module._rds_db_instance_attrs, module._sm_secret_string

    def described(instance):
        return {**attributes(instance), "Endpoint.Address": host, "Endpoint.Port": port}

    def generated(props):
        parts = props.get("GenerateSecretString") or {}
        if "SecretStringTemplate" not in parts:
            return text(props)
        return json.dumps({**json.loads(parts["SecretStringTemplate"]), "password": os.environ["TEST_PASSWORD"]})

    module._rds_db_instance_attrs, module._sm_secret_string = described, generated


def ssm(module):
    """ECS decrypts a SecureString; here it gets the text that stands for the encrypted one."""
    stored = module.resolve_parameter_value

    def corrected(name, version=None, decrypt=False):
        return stored(name, version, decrypt=True)

    module.resolve_parameter_value = corrected


def alb(module):
    """A load balancer sends nothing to a task that is not healthy yet; here it does as soon as the container runs, and a
    service that first asks its database does not listen then."""
    forward = module._proxy_http_target

    async def corrected(target, group, *request, **more):
        address = str(target.get("Id", "")), int(target.get("Port") or group.get("Port") or 80)
        for _ in range(50):
            try:
                _, connection = await asyncio.open_connection(*address)
                connection.close()
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
            except OSError:
                break
        return await forward(target, group, *request, **more)

    module._proxy_http_target = corrected


CORRECTIONS = {
    "ministack.services.cloudformation.provisioners": provisioners,
    "ministack.services.ssm": ssm,
}
if "TEST_DATABASE" in os.environ:
    CORRECTIONS["ministack.services.alb"] = alb


class Corrected(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in CORRECTIONS:
            return None
        correct = CORRECTIONS.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def corrected(module):
            execute(module)
            correct(module)

        spec.loader.exec_module = corrected
        return spec


sys.meta_path.insert(0, Corrected())
