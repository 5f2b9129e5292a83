"""`hauberk config schema`."""

from __future__ import annotations

import json

from hauberk.cli.answer import Answer
from hauberk.cli.options import Options


def schema(*, options: Options = Options()) -> Answer:
    """Print the JSON Schema of hauberk.yml, for editors.

    It has a section for each plugin that the configuration names, or for the
    built-in ones where that cannot be read. `hauberk init` has written it beside
    hauberk.yml; write it again when you add a plugin.

    For example:
        hauberk config schema > hauberk.schema.json
    """
    from hauberk.opening import schema_for

    document = schema_for(options.config)
    return Answer(document, json.dumps(document, indent=2, ensure_ascii=False))
