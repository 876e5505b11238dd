from notifications.pipeline.events import DomainEvent


class ExportAsked(DomainEvent, name="export.asked"):
    """Fires when somebody asks for a copy of what we keep of them."""

    export_id: int


class ExportReady(DomainEvent, name="export.ready"):
    """Fires when that copy can be fetched."""

    export_id: int


class PartToErase(DomainEvent, name="person.part_to_erase"):
    """Fires for each part of what we keep of a person, when their account was closed."""

    erasure_id: int
    part: str


class PartsErased(DomainEvent, name="person.parts_erased"):
    """Fires when the last of those parts is erased. What was on its way then is looked for a little later."""

    erasure_id: int
