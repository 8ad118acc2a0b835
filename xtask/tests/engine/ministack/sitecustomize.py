# Python runs this before the emulator: two of its answers differ from AWS's, and are corrected where they are made.
import importlib.abc
import importlib.util
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


def ssm(module):
    """ECS decrypts a SecureString; here it gets the text that stands for the encrypted one."""
    stored = module.resolve_parameter_value

    def corrected(name, version=None, decrypt=False):
        return stored(name, version, decrypt=True)

    module.resolve_parameter_value = corrected


CORRECTIONS = {
    "ministack.services.cloudformation.provisioners": provisioners,
    "ministack.services.ssm": ssm,
}


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
