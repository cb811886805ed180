"""Names of models; a run may ask for any other name too, and fails if no provider serves it."""

from flask import Blueprint, Response

from app.api.answers import answer
from app.api.objects import ModelObject
from app.api.services import services
from app.errors import NotFound

routes = Blueprint("models", __name__)


@routes.get("/models")
def index() -> Response:
    """The scripted model and the configured ones."""
    return answer({"object": "list", "data": [model_object(name) for name in services().models]})


@routes.get("/models/<path:name>")
def retrieve(name: str) -> Response:
    """One model."""
    if name not in services().models:
        raise NotFound(kind="model", id=name)
    return answer(model_object(name))


def model_object(name: str) -> ModelObject:
    """A model as the wire shows it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "counterfoil"}
