"""Every call that the dialogues in tests/*.rs show is valid by the official schemas of OCPP 1.6."""

import json
import re
from pathlib import Path

import pytest
from ocpp.messages import Call, validate_payload

TESTS = Path(__file__).resolve().parents[1]
LINE = re.compile(r'^\s*> \[2,_,"(\w+)",(\{.*\})\](?: \(after commit\))?$', re.MULTILINE)


def calls():
    found = {}
    for file in sorted(TESTS.glob("ocpp_*.rs")):
        for action, payload in LINE.findall(file.read_text()):
            found.setdefault(action, set()).add(payload)
    return found


@pytest.mark.parametrize("action,payloads", sorted(calls().items()))
async def test_every_call_in_a_dialogue_is_valid(action, payloads):
    for payload in sorted(payloads):
        await validate_payload(Call("1", action, json.loads(payload)), "1.6")


def test_every_message_of_the_central_system_is_in_a_dialogue():
    wanted = {
        "CancelReservation", "ChangeAvailability", "ChangeConfiguration", "ClearCache",
        "ClearChargingProfile", "DataTransfer", "GetCompositeSchedule", "GetConfiguration",
        "GetDiagnostics", "GetLocalListVersion", "GetLog", "RemoteStartTransaction",
        "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile",
        "SignedUpdateFirmware", "TriggerMessage", "UnlockConnector", "UpdateFirmware",
    }
    assert wanted <= set(calls()), wanted - set(calls())
