"""The catalog: the tools that the server executes and the models that it knows, from `counterfoil.toml`."""

from app.catalog.load import load_catalog
from app.catalog.mistakes import CatalogErrors, CatalogMistake
from app.catalog.tool import Catalog, Contract, Lookup, ModelEntry, Tool, check_arguments

__all__ = [
    "Catalog",
    "CatalogErrors",
    "CatalogMistake",
    "Contract",
    "Lookup",
    "ModelEntry",
    "Tool",
    "check_arguments",
    "load_catalog",
]
