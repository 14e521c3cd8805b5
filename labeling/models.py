"""Every model of the app, for Django to find. The features hold them."""

from labeling.adjudication.models import (
    AdjudicationCase,
    AdjudicationLook,
    AdjudicationRequest,
    AdjudicationReveal,
    AdjudicationRule,
    AdjudicationTally,
    Assessment,
)
from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.campaigns.models import Campaign
from labeling.checks.models import CheckAlert, CheckCopy, CheckItem, CheckResult, CheckSet
from labeling.demos.models import Admission, Demonstration, DemonstrationSuggestion, Suggestion, WrittenPrompt
from labeling.erasure.models import ErasedPrompt, Erasure, Retention
from labeling.exports.models import Dataset, DatasetRow, Taint
from labeling.forms.models import Form, FormVersion
from labeling.governance.models import (
    BlindItem,
    BlindSample,
    Decision,
    DetectorVersion,
    Finding,
    Flag,
    Gate,
    Original,
    OutputScan,
    Policy,
    PolicyRule,
)
from labeling.guidelines.models import Guideline, GuidelineRead
from labeling.intake.models import Import, ImportProblem, Prompt, RefusedPerson, Source, SourceKey, SourceUser
from labeling.label_errors.models import (
    CompletionScore,
    ErrorDraw,
    ErrorItem,
    ErrorVerdict,
    SecondLook,
    Suspicion,
    SuspicionState,
)
from labeling.languages.models import PromptLanguage
from labeling.leasing.models import CheckTurn, Lease, QueuePosition, Seat, Task
from labeling.notices.models import Notice, NoticeReceipt
from labeling.onboarding.models import OnboardingEvent, OnboardingSettings
from labeling.pay.models import LedgerEntry, PayDay, PayRate, PayRequest, PaySettings
from labeling.people.models import ApiToken, Break, Invitation, TeamSettings, User
from labeling.pipeline.models import Checkpoint, Run
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.quality.models import CompletionTraits, QualityReport, QualityRun, QualityStanding
from labeling.questions.models import Message, Question
from labeling.rankings.models import Judgment, Ranking
from labeling.reports.models import Report
from labeling.reviews.models import Review
from labeling.sampling.models import (
    Batch,
    BatchItem,
    Completion,
    CompletionMark,
    Endpoint,
    MakerTerm,
    PromptSignal,
    Provenance,
)
from labeling.screening.models import (
    Application,
    Grade,
    ScreeningBatch,
    ScreeningDecision,
    ScreeningItem,
    ScreeningRound,
    Topic,
    TopicAnswer,
)
from labeling.surveys.models import SurveyOptOut, SurveyPart, SurveyQuestionnaire, SurveyRound, SurveyTally
from labeling.use_cases.models import UseCaseAssignment, UseCaseModel, UseCaseStanding, UseCaseSuggestion, UseCaseTarget

__all__ = [
    "AdjudicationCase",
    "AdjudicationLook",
    "AdjudicationRequest",
    "AdjudicationReveal",
    "AdjudicationRule",
    "AdjudicationTally",
    "Admission",
    "ApiToken",
    "Application",
    "Assessment",
    "AuditEvent",
    "Batch",
    "BatchItem",
    "BlindItem",
    "BlindSample",
    "Break",
    "Campaign",
    "CheckAlert",
    "CheckCopy",
    "CheckItem",
    "CheckResult",
    "CheckSet",
    "CheckTurn",
    "Checkpoint",
    "Completion",
    "CompletionMark",
    "CompletionScore",
    "CompletionTraits",
    "Dataset",
    "DatasetRow",
    "Decision",
    "Demonstration",
    "DemonstrationSuggestion",
    "DetectorVersion",
    "Endpoint",
    "ErasedPrompt",
    "Erasure",
    "ErrorDraw",
    "ErrorItem",
    "ErrorVerdict",
    "Finding",
    "Flag",
    "Form",
    "FormVersion",
    "Gate",
    "Grade",
    "Guideline",
    "GuidelineRead",
    "Import",
    "ImportProblem",
    "Invitation",
    "Job",
    "Judgment",
    "Lease",
    "LedgerEntry",
    "MakerTerm",
    "Message",
    "Notice",
    "NoticeReceipt",
    "OnboardingEvent",
    "OnboardingSettings",
    "Original",
    "OutputScan",
    "PayDay",
    "PayRate",
    "PayRequest",
    "PaySettings",
    "Policy",
    "PolicyRule",
    "PracticeAnswer",
    "PracticeTour",
    "Prompt",
    "PromptLanguage",
    "PromptSignal",
    "Provenance",
    "QualityReport",
    "QualityRun",
    "QualityStanding",
    "Question",
    "QueuePosition",
    "Ranking",
    "RefusedPerson",
    "Report",
    "Retention",
    "Review",
    "Run",
    "ScreeningBatch",
    "ScreeningDecision",
    "ScreeningItem",
    "ScreeningRound",
    "Seat",
    "SecondLook",
    "Source",
    "SourceKey",
    "SourceUser",
    "Suggestion",
    "SurveyOptOut",
    "SurveyPart",
    "SurveyQuestionnaire",
    "SurveyRound",
    "SurveyTally",
    "Suspicion",
    "SuspicionState",
    "Taint",
    "Task",
    "TeamSettings",
    "Topic",
    "TopicAnswer",
    "UseCaseAssignment",
    "UseCaseModel",
    "UseCaseStanding",
    "UseCaseSuggestion",
    "UseCaseTarget",
    "User",
    "WrittenPrompt",
]
