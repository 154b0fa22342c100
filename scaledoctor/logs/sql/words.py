# ruff: noqa: RUF001  words of other languages look like ours and are not
"""Words of PostgreSQL's log in other languages, as its own translations (15) have them."""

import re

_WORDS = {
    "LOG": "ჟურნალი 로그 СООБЩЕНИЕ LOGG ЗАПИСУВАННЯ 日志 日誌",
    "ERROR": "FEHLER ERREUR ERRORE შეცდომა 오류 ОШИБКА FEL ПОМИЛКА 错误 錯誤",
    "FATAL": "FATALE ფატალური 치명적오류 ВАЖНО FATALT ФАТАЛЬНО 致命错误 致命錯誤",
    "PANIC": "PANIK PANICO პანიკა 손상 ПАНИКА ПАНІКА 灾难性错误 嚴重錯誤",
    "WARNING": "WARNUNG ATTENTION ATTENZIONE გაფრთხილება 경고 ПРЕДУПРЕЖДЕНИЕ VARNING "
    "ПОПЕРЕДЖЕННЯ 警告",
    "NOTICE": "HINWEIS NOTIFICA 알림 ЗАМЕЧАНИЕ NOTIS ПОВІДОМЛЕННЯ 注意",
    "INFO": "ინფორმაცია 정보 ИНФОРМАЦИЯ ІНФОРМАЦІЯ 信息 資訊",
    "DEBUG": "გამართვა 디버그 ОТЛАДКА НАЛАГОДЖЕННЯ 调试 除錯",
    "DETAIL": "DETALLE DÉTAIL DETTAGLI 詳細 დეტალები 상세정보 ПОДРОБНОСТИ DETALJ ВІДОМОСТІ "
    "详情 詳情",
    "HINT": "TIPP ASTUCE_ SUGGERIMENTO ヒント მინიშნება 힌트 ПОДСКАЗКА TIPS УКАЗІВКА 提示",
    "QUERY": "ANFRAGE CONSULTA REQUÊTE_ 問い合わせ მოთხოვნა 쿼리 ЗАПРОС FRÅGA ЗАПИТ 查询 查詢",
    "CONTEXT": "ZUSAMMENHANG CONTEXTO CONTEXTE_ CONTESTO 文脈 კონტექსტი 내용 КОНТЕКСТ KONTEXT "
    "上下文",
    "STATEMENT": "ANWEISUNG SENTENCIA INSTRUCTION_ ISTRUZIONE 文 ოპერატორი 명령_구문 ОПЕРАТОР "
    "SATS ІНСТРУКЦІЯ 语句 陳述式",
    "BACKTRACE": "PILE_D'APPEL_ バックトレース სტეკი 역추적 СТЕК ВІДСТЕЖУВАТИ 回溯",
}
"""Translations of each word, between blanks; ``_`` is a blank within one."""

SEVERITIES = {
    foreign.replace("_", " ").encode(): plain.encode()
    for plain, words in _WORDS.items()
    for foreign in words.split()
}
"""The English word of a translated one, both as UTF-8."""

_KINDS = {
    "statement": "Anweisung|sentencia|instruction|istruzione|文|გამოსახულება|명령 구문|оператор|"
    "sats|语句|陳述式",
    "parse": "Parsen|parse|analyse|analisi di|パース|разбор|аналізування|解析",
    "bind": "Binden|bind|lien|バインド|сообщение Bind|повідомлення bind|绑定|繫結",
    "execute": "Ausführen|ejecutar|exécute|esecuzione di|実行|გაშვება|쿼리실행|выполнение|kör|"
    "виконувати|执行|執行",
}
_DURATION = re.compile(
    (
        "(?:Dauer|duración|durée|durata|期間|ხანგრძლივობა|실행시간|수행시간|продолжительность|"
        "varaktighet|тривалість|耗时|持續時間)"
        r" ?:? (?P<time>\d+\.\d{3}) (?:ms|мс|ミリ秒|მწმs?|毫秒)"
        "(?:(?:  |, | )(?:" + "|".join(f"(?P<{k}>{w})" for k, w in _KINDS.items()) + r")"
        r"(?P<name>[^:\n]{0,200}): )?"
    ).encode()
)
_SPOKEN = re.compile(f"(?:{_KINDS['statement']}) ?: ".encode())


def english(message: bytes) -> bytes:
    """A duration or statement in PostgreSQL's own words; any other message stays."""
    if found := _DURATION.match(message):
        head = b"duration: %s ms" % found["time"]
        kind = next((k.encode() for k in _KINDS if found[k] is not None), b"")
        name = (found["name"] or b"").rstrip()
        return head + (b"  %s%s: " % (kind, name) if kind else b"") + message[found.end() :]
    if spoken := _SPOKEN.match(message):
        return b"statement: " + message[spoken.end() :]
    return message
