"""LALR(1) tables made from grammar.lark by generate.py; not edited by hand."""

# ruff: noqa: E501 - a state is one line
# (what the rule makes, how many parts it takes off the stack, the builder's method)
RULES: list[tuple[str, int, str]] = [
    ("arg", 1, "arg"),
    ("args", 1, "first"),
    ("args", 3, "further"),
    ("chain", 5, "chain"),
    ("chain", 3, "chain"),
    ("condition", 1, ""),
    ("condition", 3, "comparison"),
    ("condition", 1, "chained"),
    ("conjunction", 1, ""),
    ("conjunction", 3, "binary"),
    ("disjunction", 1, ""),
    ("disjunction", 3, "binary"),
    ("equation", 3, "equation"),
    ("expression", 1, ""),
    ("negation", 2, "unary"),
    ("negation", 1, ""),
    ("postfix", 1, "number"),
    ("postfix", 1, "name"),
    ("postfix", 4, "access"),
    ("postfix", 4, "call"),
    ("postfix", 7, "bound"),
    ("postfix", 7, "matrix_call"),
    ("postfix", 3, "paren"),
    ("postfix", 3, "iverson"),
    ("power", 1, ""),
    ("power", 3, "binary"),
    ("sub", 1, "ellipsis"),
    ("sub", 1, "sub"),
    ("sub_list", 1, "first"),
    ("sub_list", 3, "further"),
    ("subs", 0, "none"),
    ("subs", 1, ""),
    ("sum", 1, ""),
    ("sum", 3, "binary"),
    ("sum", 3, "binary"),
    ("term", 1, ""),
    ("term", 3, "binary"),
    ("term", 3, "binary"),
    ("term", 3, "binary"),
    ("unary", 2, "unary"),
    ("unary", 2, "unary"),
    ("unary", 1, ""),
]
# By state: where to -> the symbols that lead there.  At least 0 is a state to go to, on a token
# or on what a rule made; below 0 is -1 - the number of the rule to reduce by.
STATES: list[dict[int, str]] = [
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 8: "equation", 9: "postfix", 10: "power", 11: "sum", 12: "term", 13: "unary"},  # 0
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 18: "disjunction", 19: "expression", 20: "negation", 21: "sum"},  # 1
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 22: "disjunction"},  # 2
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 23: "disjunction"},  # 3
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 24: "unary"},  # 4
    {-18: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR", 25: "LPAR", 26: "LSQB"},  # 5
    {-17: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR"},  # 6
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 27: "unary"},  # 7
    {},  # 8
    {-25: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR", 28: "POWER"},  # 9
    {-42: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 10
    {29: "EQUAL", 30: "MINUS", 31: "PLUS"},  # 11
    {-33: "$END AND CMP COMMA EQUAL MINUS OR PLUS RPAR RSQB", 32: "FLOOR", 33: "SLASH", 34: "STAR"},  # 12
    {-36: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 13
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 21: "sum", 35: "negation"},  # 14
    {-8: "$END AND COMMA OR RPAR RSQB", 36: "CMP"},  # 15
    {-16: "$END AND COMMA OR RPAR RSQB"},  # 16
    {-11: "$END COMMA OR RPAR RSQB", 37: "AND"},  # 17
    {-14: "$END", 38: "OR"},  # 18
    {},  # 19
    {-9: "$END AND COMMA OR RPAR RSQB"},  # 20
    {-6: "$END AND COMMA OR RPAR RSQB", 30: "MINUS", 31: "PLUS", 39: "CMP"},  # 21
    {38: "OR", 40: "RPAR"},  # 22
    {38: "OR", 41: "RSQB"},  # 23
    {-40: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 24
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 42: "arg", 43: "args", 44: "disjunction"},  # 25
    {-31: "RSQB", 2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 45: "ELLIPSIS", 46: "sub", 47: "sub_list", 48: "subs", 49: "sum"},  # 26
    {-41: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 27
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 50: "unary"},  # 28
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 51: "disjunction"},  # 29
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 13: "unary", 52: "term"},  # 30
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 13: "unary", 53: "term"},  # 31
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 54: "unary"},  # 32
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 55: "unary"},  # 33
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 56: "unary"},  # 34
    {-15: "$END AND COMMA OR RPAR RSQB"},  # 35
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 57: "sum"},  # 36
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 21: "sum", 58: "negation"},  # 37
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 20: "negation", 21: "sum", 59: "conjunction"},  # 38
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 60: "sum"},  # 39
    {-23: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR"},  # 40
    {-24: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR"},  # 41
    {-2: "COMMA RPAR"},  # 42
    {61: "COMMA", 62: "RPAR"},  # 43
    {-1: "COMMA RPAR", 38: "OR"},  # 44
    {-27: "COMMA RSQB"},  # 45
    {-29: "COMMA RSQB"},  # 46
    {-32: "RSQB", 63: "COMMA"},  # 47
    {64: "RSQB"},  # 48
    {-28: "COMMA RSQB", 30: "MINUS", 31: "PLUS"},  # 49
    {-26: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 50
    {-13: "$END", 38: "OR"},  # 51
    {-35: "$END AND CMP COMMA EQUAL MINUS OR PLUS RPAR RSQB", 32: "FLOOR", 33: "SLASH", 34: "STAR"},  # 52
    {-34: "$END AND CMP COMMA EQUAL MINUS OR PLUS RPAR RSQB", 32: "FLOOR", 33: "SLASH", 34: "STAR"},  # 53
    {-39: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 54
    {-38: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 55
    {-37: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS RPAR RSQB SLASH STAR"},  # 56
    {-5: "$END AND CMP COMMA OR RPAR RSQB", 30: "MINUS", 31: "PLUS"},  # 57
    {-10: "$END AND COMMA OR RPAR RSQB"},  # 58
    {-12: "$END COMMA OR RPAR RSQB", 37: "AND"},  # 59
    {-7: "$END AND COMMA OR RPAR RSQB", 30: "MINUS", 31: "PLUS", 65: "CMP"},  # 60
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 44: "disjunction", 66: "arg"},  # 61
    {-20: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR", 67: "LSQB"},  # 62
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 45: "ELLIPSIS", 49: "sum", 68: "sub"},  # 63
    {-19: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR", 69: "LPAR"},  # 64
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 70: "sum"},  # 65
    {-3: "COMMA RPAR"},  # 66
    {-31: "RSQB", 2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 45: "ELLIPSIS", 46: "sub", 47: "sub_list", 49: "sum", 71: "subs"},  # 67
    {-30: "COMMA RSQB"},  # 68
    {2: "LPAR", 3: "LSQB", 4: "MINUS", 5: "NAME", 6: "NUMBER", 7: "PLUS", 9: "postfix", 10: "power", 12: "term", 13: "unary", 14: "NOT", 15: "chain", 16: "condition", 17: "conjunction", 20: "negation", 21: "sum", 42: "arg", 44: "disjunction", 72: "args"},  # 69
    {-4: "$END AND CMP COMMA OR RPAR RSQB", 30: "MINUS", 31: "PLUS"},  # 70
    {73: "RSQB"},  # 71
    {61: "COMMA", 74: "RPAR"},  # 72
    {-22: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR"},  # 73
    {-21: "$END AND CMP COMMA EQUAL FLOOR MINUS OR PLUS POWER RPAR RSQB SLASH STAR"},  # 74
]
STARTS: dict[str, int] = {"equation": 0, "expression": 1}
ENDS: dict[str, int] = {"equation": 8, "expression": 19}
