from _typeshed import Incomplete
from types import ModuleType

def public_api(module: ModuleType = None, symbol: str = None): ...

IS_AOT_ENABLED: Incomplete
